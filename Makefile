# Singlet: `make` builds the images, `make run` starts one, `make test` tests, `make bench` measures. See README.md.
BUILD := build
APPS  := redis memcached hello
TEST_APPS := tests crash schedbench stress
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

# What the build needs from Debian is installed once, before anything else is read.
ifneq ($(MAKECMDGOALS),clean)
ifneq ($(shell scripts/setup build >&2 && echo ok),ok)
$(error scripts/setup build failed: see above)
endif
endif

CC := gcc
KERNEL_DIRS := arch/x86_64 arch/x86_64/boot kernel kernel/linux mm sched drivers drivers/* net fs
KERNEL_C := $(wildcard $(addsuffix /*.c,$(KERNEL_DIRS)))
KERNEL_S := $(wildcard $(addsuffix /*.S,$(KERNEL_DIRS)))
KERNEL_OBJS := $(KERNEL_C:%.c=$(BUILD)/kernel/%.o) $(KERNEL_S:%.S=$(BUILD)/kernel/%.o)

KINCLUDE := $(BUILD)/kinclude
KERNEL_CPPFLAGS := -nostdinc -isystem $(shell $(CC) -print-file-name=include) -isystem $(KINCLUDE) -Iinclude
KERNEL_CFLAGS := -std=gnu17 -O2 -g -ffreestanding -fPIE -fno-plt -mgeneral-regs-only -mno-red-zone -fno-stack-protector \
    -fno-strict-aliasing -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fcf-protection=none \
    -ffunction-sections -fdata-sections -fvisibility=hidden -fno-common -fno-tree-loop-distribute-patterns \
    -Wall -Wextra -Werror -Wno-unused-parameter -Wvla -Wundef -Wpointer-arith

include net/lwip.mk
include libc/libc.mk

all: $(APPS:%=$(BUILD)/%.elf) $(BUILD)/compile_commands.json

# The headers that kernel code may use: queue.h and tree.h of newlib, and Linux's UAPI.
$(KINCLUDE)/.done: scripts/kinclude
	scripts/kinclude $(KINCLUDE)
	touch $@

$(BUILD)/kernel/%.o: %.c $(KINCLUDE)/.done
	@mkdir -p $(@D)
	@echo '  CC      $<'
	@$(CC) $(KERNEL_CPPFLAGS) $(KERNEL_CFLAGS) $(CFLAGS_$(*)) -MMD -MP -c $< -o $@
$(BUILD)/kernel/%.o: %.S $(KINCLUDE)/.done
	@mkdir -p $(@D)
	@echo '  AS      $<'
	@$(CC) $(KERNEL_CPPFLAGS) -g -D__ASSEMBLY__ -MMD -MP -c $< -o $@

# The kernel is linked into one object whose symbols are local but for its application interface.
$(BUILD)/kernel.o: $(KERNEL_OBJS) $(LWIP_OBJS) arch/x86_64/exports.txt
	@echo '  LD      $@'
	@ld -r -o $@.tmp $(KERNEL_OBJS) $(LWIP_OBJS)
	@objcopy --keep-global-symbols=arch/x86_64/exports.txt $@.tmp $@
	@rm $@.tmp

define APP_RULES
$(BUILD)/apps/$(1)/link.rsp: FORCE $(LIBC_A) $(LIBC_CRT)
	+@$$(MAKE) --no-print-directory -f apps/$(1)/Makefile BUILD=$(BUILD)
$(BUILD)/$(1).elf: $(BUILD)/apps/$(1)/link.rsp $(BUILD)/kernel.o $(LIBC_A) $(LIBC_CRT) arch/x86_64/image.lds scripts/link-image \
    $$(wildcard apps/$(1)/cmdline) $$(shell find apps/$(1)/rootfs 2>/dev/null)
	scripts/link-image $(BUILD) $(1)
endef
$(foreach app,$(APPS) $(TEST_APPS),$(eval $(call APP_RULES,$(app))))

$(BUILD)/compile_commands.json: Makefile $(KERNEL_C)
	@scripts/compile-commands $(CURDIR) "$(CC) $(KERNEL_CPPFLAGS) $(KERNEL_CFLAGS)" $(KERNEL_C) > $@

clean:
	rm -rf $(BUILD)

.PHONY: all clean FORCE
FORCE:
-include $(KERNEL_OBJS:.o=.d)

# ---- Running

APP   ?= redis
MEM   ?= 256
CPUS  ?= 1
ACCEL ?= auto
ARGS  ?=
MACHINE ?= q35

run: $(BUILD)/$(APP).elf
	@scripts/setup run
	@scripts/run --app $(APP) --mem $(MEM) --cpus $(CPUS) --accel $(ACCEL) --machine $(MACHINE) -- $(ARGS)

# A CD image that boots by GRUB (Multiboot2).
iso: $(BUILD)/$(APP).iso
$(BUILD)/%.iso: $(BUILD)/%.elf scripts/mkiso
	scripts/mkiso $< $@

# ---- Tests and measurements

include tests/unit/unit.mk
include tests/fuzz/fuzz.mk
include tests/guest/guest.mk

test: all $(BUILD)/redis.iso $(TEST_APPS:%=$(BUILD)/%.elf) $(GUEST_HOST)/tests \
    $(LIBC_OUT)/test/strings $(LIBC_OUT)/test/posix
	@scripts/setup test
	+@$(MAKE) --no-print-directory unit-programs
	prove $(UNIT_TESTS) $(UNIT_SCRIPTS) $(LIBC_OUT)/test/strings $(LIBC_OUT)/test/posix tests/models/models.t tests/system/*.t

# Models of lock-free code, checked exhaustively; the long ones take minutes and 5 GB.
models:
	@scripts/setup test
	prove -v tests/models/models.t
models-long:
	@scripts/setup test
	prove -v tests/models/models.t :: long

# Everything at once for MINUTES on CPUS virtual CPUs (tests/stress).
MINUTES ?= 10
stress: $(BUILD)/stress.elf
	@scripts/setup run
	scripts/stress --minutes $(MINUTES) --cpus $(if $(filter command line environment,$(origin CPUS)),$(CPUS),8)

bench: all
	@scripts/setup bench
	scripts/bench/bench

# The scheduler's bars, beside a Linux guest.
bench-sched: $(BUILD)/schedbench.elf $(BUILD)/memcached.elf
	@scripts/setup bench
	scripts/bench/bench-sched

.PHONY: run iso test models models-long stress bench bench-sched
