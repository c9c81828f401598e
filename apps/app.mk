# Builds one application to build/apps/<app>/app.o, for the top-level Makefile to link with kernel
# and libc.
#
#   APP        its name
#   SOURCES    folders of build/src that it comes from; they are copied, and apps/<app>/patches/*.patch are
#              applied to the copy (paths in a patch: a/<source>/...)
#   FILES      what to compile, <source>/path.c; a name without a slash is in apps/<app> itself
#   CPPFLAGS   ; CFLAGS adds to -O2; CFLAGS_<file> is for one file
#   PRELINK_FLAGS  for joining its objects into one
#   GENERATED  files that other files include, with their own rules, relative to $(SRC)
#
# Run from the top: make -f apps/<app>/Makefile            the object
#                   make -f apps/<app>/Makefile host       a static Linux program of the very same objects

BUILD ?= build
CC := gcc
V ?=
Q := $(if $(V),,@)
DIR := apps/$(APP)
OUT := $(BUILD)/apps/$(APP)
SRC := $(OUT)/src

.DEFAULT_GOAL := $(OUT)/link.rsp
.PHONY: host
.DELETE_ON_ERROR:
.SUFFIXES:

ifneq ($(SOURCES),)
ifneq ($(words $(wildcard $(SOURCES:%=$(BUILD)/src/%/.singlet-version))),$(words $(SOURCES)))
$(info $(shell scripts/setup build >&2))
endif
endif

COMMON_CFLAGS := -O2 -fPIE -fno-stack-protector -fomit-frame-pointer -fno-strict-aliasing \
	-fno-unwind-tables -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
	-fno-common -fcf-protection=none -fno-semantic-interposition -pipe \
	-nostdinc -isystem $(BUILD)/libc/include -isystem $(shell $(CC) -print-file-name=include)
# Warnings in other people's code are theirs.
THIRD_PARTY_CFLAGS := -w
OWN_CFLAGS := -std=gnu17 -Wall -Wextra -Werror

STAMP := $(OUT)/.source
OBJS := $(FILES:%.c=$(OUT)/obj/%.o)
MK := $(DIR)/Makefile apps/app.mk

$(STAMP): $(SOURCES:%=$(BUILD)/src/%/.singlet-version) $(wildcard $(DIR)/patches/*.patch)
	@echo "  SOURCE  $(APP)"
	$(Q)rm -rf $(SRC) && mkdir -p $(SRC)
	$(Q)for s in $(SOURCES); do cp -R $(BUILD)/src/$$s $(SRC)/$$s || exit 1; done
	$(Q)for p in $(wildcard $(DIR)/patches/*.patch); do \
		patch -s -p1 -d $(SRC) <$$p || { echo "$$p does not apply" >&2; exit 1; }; done
	$(Q)touch $@

$(addprefix $(SRC)/,$(GENERATED)): $(STAMP)

$(OBJS): $(OUT)/obj/%.o: $(STAMP) $(MK) $(BUILD)/libc/include/.stamp $(addprefix $(SRC)/,$(GENERATED))
	@echo "  CC      $(APP): $*.c"
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON_CFLAGS) $(if $(findstring /,$*),$(THIRD_PARTY_CFLAGS),$(OWN_CFLAGS)) \
		$(CPPFLAGS) $(CFLAGS) $(CFLAGS_$*.c) -MMD -MP \
		-c -o $@ $(if $(findstring /,$*),$(SRC),$(DIR))/$*.c

# One object of all: what is global in one application's files is of no interest to others.
$(OUT)/app.o: $(OBJS)
	@echo "  LD      $@"
	$(Q)$(CC) $(COMMON_CFLAGS) -r -nostdlib $(PRELINK_FLAGS) -o $@ $(OBJS)

$(OUT)/link.rsp: $(OUT)/app.o
	$(Q)echo $(OUT)/app.o >$@

# libc's own makefile knows how to make these; its phony target is quick when there is nothing to
# do.
$(BUILD)/libc/include/.stamp $(BUILD)/libc/libc.a $(BUILD)/libc/crt1.o:
	$(Q)$(MAKE) -f libc/libc.mk BUILD=$(BUILD)

host: $(OUT)/$(APP).host

$(OUT)/$(APP).host: $(OUT)/app.o $(BUILD)/libc/libc.a $(BUILD)/libc/crt1.o \
		$(BUILD)/libc/hostshim/shim.o
	$(Q)ld -static --gc-sections -z noexecstack -o $@ $(BUILD)/libc/crt1.o $(OUT)/app.o \
		$(BUILD)/libc/hostshim/shim.o $(BUILD)/libc/libc.a $(shell $(CC) -print-libgcc-file-name)

$(BUILD)/libc/hostshim/shim.o: libc/hostshim/shim.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -fPIE -Wall -Wextra -Werror -c -o $@ $<

-include $(OBJS:.o=.d)
