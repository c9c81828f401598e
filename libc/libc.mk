# Builds build/libc/libc.a, crt1.o and the headers: musl, with the files under libc/overlay in place
# of the ones of the same name, and libc/string and libc/malloc in place of its string functions and
# allocator.
#
# Included by the top-level Makefile; also works alone: make -f libc/libc.mk

BUILD ?= build
CC ?= gcc
AR ?= ar
V ?=
Q := $(if $(V),,@)

MUSL := $(BUILD)/src/musl
MIMALLOC := $(BUILD)/src/mimalloc
LIBC_OUT := $(BUILD)/libc
LIBC_A := $(LIBC_OUT)/libc.a
LIBC_CRT := $(LIBC_OUT)/crt1.o
LIBC_HEADERS := $(LIBC_OUT)/include/.stamp

ifeq ($(wildcard $(MUSL)/.singlet-version $(MIMALLOC)/.singlet-version),)
$(info $(shell scripts/setup build >&2))
endif

.PHONY: libc
libc: $(LIBC_A) $(LIBC_CRT) $(LIBC_HEADERS)

# musl's rule: arch/ beats generic. Ours: the overlay beats both.
# mimalloc, or musl's own allocator (for comparison: LIBC_MALLOC=musl BUILD=...).
LIBC_MALLOC ?= mimalloc
libc_dirs := $(sort $(dir $(wildcard $(MUSL)/src/*/*.c)))
ifeq ($(LIBC_MALLOC),mimalloc)
libc_dirs := $(filter-out %/malloc/,$(libc_dirs))
else
libc_dirs += $(MUSL)/src/malloc/mallocng/
endif
libc_base := $(patsubst $(MUSL)/%,%,$(foreach d,$(libc_dirs),$(wildcard $(d)*.c)))
libc_arch := $(patsubst $(MUSL)/%,%,$(foreach d,$(libc_dirs),$(wildcard $(d)x86_64/*.[csS])))
libc_over := $(patsubst libc/overlay/%,%,$(wildcard libc/overlay/src/*/*.[cs]))
libc_string := $(notdir $(wildcard libc/string/*.c))
libc_over_names := $(basename $(libc_over)) $(libc_string:%.c=src/string/%)
libc_arch := $(foreach f,$(libc_arch),$(if \
	$(filter $(subst /x86_64/,/,$(basename $(f))),$(libc_over_names)),,$(f)))
libc_hidden := $(libc_over_names) $(subst /x86_64/,/,$(basename $(libc_arch)))
libc_base := $(foreach f,$(libc_base),$(if $(filter $(basename $(f)),$(libc_hidden)),,$(f)))

libc_obj = $(LIBC_OUT)/obj/$(1).o
libc_objs = $(foreach f,$(1),$(call libc_obj,$(basename $(f))))
LIBC_MUSL_OBJS := $(call libc_objs,$(libc_base) $(libc_arch))
LIBC_OVER_OBJS := $(foreach f,$(libc_over),$(call libc_obj,overlay/$(basename $(f))))
LIBC_STRING_OBJS := $(libc_string:%.c=$(LIBC_OUT)/obj/string/%.o)
LIBC_MALLOC_OBJS := $(if $(filter mimalloc,$(LIBC_MALLOC)),$(LIBC_OUT)/obj/mimalloc.o)
LIBC_OBJS := $(LIBC_MUSL_OBJS) $(LIBC_OVER_OBJS) $(LIBC_STRING_OBJS) $(LIBC_MALLOC_OBJS)

# -fPIE and not -fPIC: all is in one image, so data is reached directly and not through a table, and
# calls are direct. No unwind tables: the kernel's back traces go by frame pointers of its own code.
LIBC_CPPFLAGS := -nostdinc -D_XOPEN_SOURCE=700 -Ilibc/overlay/arch -I$(MUSL)/arch/x86_64 \
	-I$(MUSL)/arch/generic -I$(LIBC_OUT)/internal -I$(MUSL)/src/include -I$(MUSL)/src/internal \
	-I$(LIBC_OUT)/include -I$(MUSL)
LIBC_CFLAGS := -std=c99 -ffreestanding -fexcess-precision=standard -frounding-math \
	-fno-strict-aliasing -O2 -fPIE -fomit-frame-pointer -fno-stack-protector \
	-fno-unwind-tables -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
	-fno-common -fcf-protection=none -Wa,--noexecstack -pipe
LIBC_OWN_CFLAGS := -std=gnu17 -Wall -Wextra -Werror

LIBC_DEPS := libc/libc.mk $(LIBC_HEADERS) $(LIBC_OUT)/internal/version.h

$(call libc_objs,$(libc_base)): $(LIBC_OUT)/obj/%.o: $(MUSL)/%.c $(LIBC_DEPS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIBC_CFLAGS) -w $(LIBC_CPPFLAGS) $(LIBC_CFLAGS_$(notdir $*)) -MMD -MP -c -o $@ $<

# x86_64 files go to the object that they stand for.
define libc_arch_rule
$(call libc_obj,$(basename $(1))): $(MUSL)/$(1) $(LIBC_DEPS)
	@mkdir -p $$(@D)
	$$(Q)$(CC) $(LIBC_CFLAGS) -w $(LIBC_CPPFLAGS) -MMD -MP -c -o $$@ $$<
endef
$(foreach f,$(libc_arch),$(eval $(call libc_arch_rule,$(f))))

$(LIBC_OUT)/obj/overlay/%.o: libc/overlay/%.c $(LIBC_DEPS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIBC_CFLAGS) -w $(LIBC_CPPFLAGS) $(LIBC_CFLAGS_$(notdir $*)) -MMD -MP -c -o $@ $<

$(LIBC_OUT)/obj/overlay/%.o: libc/overlay/%.s $(LIBC_DEPS)
	@mkdir -p $(@D)
	$(Q)$(CC) -Wa,--noexecstack -c -o $@ $<

$(LIBC_OUT)/obj/mimalloc.o: libc/malloc/mimalloc.c $(LIBC_DEPS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIBC_CFLAGS) -w -std=gnu11 -O3 -DNDEBUG -ftls-model=local-exec -nostdinc \
		-isystem $(LIBC_OUT)/include -isystem $(shell $(CC) -print-file-name=include) \
		-I$(MIMALLOC) -I$(MIMALLOC)/include -I$(MIMALLOC)/src -MMD -MP -c -o $@ $<

$(LIBC_STRING_OBJS): $(LIBC_OUT)/obj/string/%.o: libc/string/%.c $(LIBC_DEPS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIBC_CFLAGS) $(LIBC_OWN_CFLAGS) -nostdinc -isystem $(LIBC_OUT)/include \
		-fno-tree-loop-distribute-patterns -MMD -MP -c -o $@ $<

# A rule of musl's: the compiler must not turn a copy loop into a call of the function it is in.
$(foreach f,memcpy memmove memset memcmp,$(eval \
	LIBC_CFLAGS_$(f) := -fno-tree-loop-distribute-patterns))

$(LIBC_HEADERS): libc/libc.mk $(MUSL)/.singlet-version
	@echo "  HEADERS $(@D)"
	$(Q)rm -rf $(@D) && mkdir -p $(@D)/bits
	$(Q)cp -R $(MUSL)/include/. $(@D)/ && rm -f $(@D)/alltypes.h.in
	$(Q)cp $(MUSL)/arch/generic/bits/*.h $(@D)/bits/
	$(Q)cp $(MUSL)/arch/x86_64/bits/*.h $(@D)/bits/
	$(Q)sed -f $(MUSL)/tools/mkalltypes.sed $(MUSL)/arch/x86_64/bits/alltypes.h.in \
		$(MUSL)/include/alltypes.h.in >$(@D)/bits/alltypes.h
	$(Q)sed -e p -e s/__NR_/SYS_/ $(MUSL)/arch/x86_64/bits/syscall.h.in >$(@D)/bits/syscall.h
	$(Q)touch $@

$(LIBC_OUT)/internal/version.h: $(MUSL)/.singlet-version
	@mkdir -p $(@D)
	$(Q)printf '#define VERSION "%s"\n' "$$(cat $(MUSL)/VERSION)" >$@

$(LIBC_CRT): $(MUSL)/crt/crt1.c $(LIBC_DEPS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIBC_CFLAGS) -w $(LIBC_CPPFLAGS) -DCRT -MMD -MP -c -o $@ $<

$(LIBC_A): $(LIBC_OBJS)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

-include $(LIBC_OBJS:.o=.d) $(LIBC_CRT:.o=.d)

# The very objects of our string functions, under other names, in a program for the host; and a
# program with our whole libc, on the host's system calls.
.PHONY: libc-test
libc-test: $(LIBC_OUT)/test/strings $(LIBC_OUT)/test/posix
	$(LIBC_OUT)/test/strings
	$(LIBC_OUT)/test/posix

$(LIBC_OUT)/test/strings: libc/test/strings.c $(LIBC_STRING_OBJS)
	@mkdir -p $(@D)
	$(Q)for f in $(libc_string:%.c=%.o); do \
		objcopy --prefix-symbols=our_ $(LIBC_OUT)/obj/string/$$f $(@D)/$$f || exit 1; done
	$(Q)$(CC) -O1 -g -Wall -Wextra -Werror -o $@ $< $(libc_string:%.c=$(@D)/%.o)

$(LIBC_OUT)/test/%.o: libc/test/%.c $(LIBC_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIBC_CFLAGS) $(LIBC_OWN_CFLAGS) -fhosted -nostdinc -isystem $(LIBC_OUT)/include -c -o $@ $<

$(LIBC_OUT)/test/posix: $(LIBC_OUT)/test/posix.o $(LIBC_OUT)/hostshim/shim.o $(LIBC_A) $(LIBC_CRT)
	$(Q)ld -static --gc-sections -z noexecstack -o $@ $(LIBC_CRT) $(filter-out $(LIBC_CRT),$^) \
		$(shell $(CC) -print-libgcc-file-name)

$(LIBC_OUT)/hostshim/shim.o: libc/hostshim/shim.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -fPIE -Wall -Wextra -Werror -c -o $@ $<
