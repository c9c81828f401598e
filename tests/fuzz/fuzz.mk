# Fuzzers: tests/fuzz/README.md. Needs clang; not part of `make test`.
FUZZ ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang
fuzz_include = -nostdinc -isystem $(shell $(FUZZ_CC) -print-resource-dir)/include -isystem $(KINCLUDE) -Iinclude -ffreestanding

# $(1): fuzzer, $(2): source. Globals have no red zones: tables that the linker collects lie side by side.
define FUZZ_OBJECT
$(BUILD)/fuzz/obj/$(1)/$(basename $(2)).o: $(2) $(KINCLUDE)/.done tests/fuzz/fuzz.mk
	@mkdir -p $$(@D)
	$(FUZZ_CC) -std=gnu17 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -DHOST_BUILD -w -fsanitize=fuzzer-no-link,address,undefined \
	    -fno-sanitize-recover=undefined -mllvm -asan-globals=0 $(if $(filter tests/unit/host/host.c,$(2)),,$$(fuzz_include)) -Itests/unit \
	    $(call unit_word,tests/fuzz/$(1).c,CFLAGS) -MMD -MP -c $$< -o $$@
endef

define FUZZ_PROGRAM
fuzz_sources_$(1) := tests/fuzz/$(1).c $(call unit_word,tests/fuzz/$(1).c,SOURCES)
$(foreach s,tests/fuzz/$(1).c $(call unit_word,tests/fuzz/$(1).c,SOURCES),$(eval $(call FUZZ_OBJECT,$(1),$(s))))
$(BUILD)/fuzz/$(1): $$(patsubst %,$(BUILD)/fuzz/obj/$(1)/%.o,$$(basename $$(fuzz_sources_$(1))))
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -pthread -o $$@ $$^ -Wl,-T,tests/unit/host/tables.lds
run-fuzz-$(1:fuzz_%=%): $(BUILD)/fuzz/$(1)
	@mkdir -p $(BUILD)/fuzz/corpus/$(1:fuzz_%=%)
	[ $(1) != fuzz_erofs ] || ! command -v mkfs.erofs > /dev/null || mkfs.erofs --quiet $(BUILD)/fuzz/corpus/erofs/seed scripts > /dev/null
	$(BUILD)/fuzz/$(1) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=$(if $(filter fuzz_erofs,$(1)),262144,8192) -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/$(1:fuzz_%=%)- $(BUILD)/fuzz/corpus/$(1:fuzz_%=%)
-include $$(patsubst %,$(BUILD)/fuzz/obj/$(1)/%.d,$$(basename $$(fuzz_sources_$(1))))
.PHONY: run-fuzz-$(1:fuzz_%=%)
endef
$(foreach t,$(FUZZ),$(eval $(call FUZZ_PROGRAM,fuzz_$(t))))

fuzz: $(FUZZ:%=run-fuzz-%)
.PHONY: fuzz
