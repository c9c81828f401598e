# Unit tests on the host: each tests/unit/test_NAME.c is a program, build/unit/test_NAME, that prints TAP. Its first line says what it links:
#   /* SOURCES: fs/fd.c tests/unit/host/host.c */
# and lines like it may follow: /* CFLAGS: ... */, /* SANITIZE: thread */ (instead of ASan and UBSan).
# All is compiled with the kernel's include path, but for tests/unit/host/host.c, which has the host's.
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
unit_word = $(shell sed -n '1,4s,^/\* $(2): \(.*\) \*/$$,\1,p' $(1))
unit_sanitize = $(or $(call unit_word,$(1),SANITIZE),address$(comma)undefined)
comma := ,

UNIT_CFLAGS := -std=gnu17 -g -O1 -fno-omit-frame-pointer -DHOST_BUILD -Wall -Wextra -Werror -Wno-unused-parameter -fno-strict-aliasing \
    -fno-sanitize-recover=undefined

# $(1): test, $(2): source; the object's folder is the test's, so that each test chooses its sanitizers.
define UNIT_OBJECT
$(BUILD)/unit/obj/$(1)/$(basename $(2)).o: $(2) $(KINCLUDE)/.done tests/unit/$(1).c | $(LWIP_DIR)/.patched
	@mkdir -p $$(@D)
	$(CC) $(UNIT_CFLAGS) -fsanitize=$$(call unit_sanitize,tests/unit/$(1).c) \
	    $(if $(filter tests/unit/host/host.c,$(2)),,$(KERNEL_CPPFLAGS) -ffreestanding) -Itests/unit \
	    $(call unit_word,tests/unit/$(1).c,CFLAGS) $(if $(filter build/%,$(2)),-w) -MMD -MP -c $$< -o $$@
endef

define UNIT_TEST
unit_sources_$(1) := tests/unit/$(1).c $(call unit_word,tests/unit/$(1).c,SOURCES)
$(foreach s,tests/unit/$(1).c $(call unit_word,tests/unit/$(1).c,SOURCES),$(eval $(call UNIT_OBJECT,$(1),$(s))))
$(BUILD)/unit/$(1): $$(patsubst %,$(BUILD)/unit/obj/$(1)/%.o,$$(basename $$(unit_sources_$(1)))) tests/unit/host/tables.lds
	$(CC) -fsanitize=$$(call unit_sanitize,tests/unit/$(1).c) -pthread -o $$@ $$(filter %.o,$$^) -Wl,-T,tests/unit/host/tables.lds
-include $$(patsubst %,$(BUILD)/unit/obj/$(1)/%.d,$$(basename $$(unit_sources_$(1))))
endef
$(foreach t,$(notdir $(UNIT_TESTS)),$(eval $(call UNIT_TEST,$(t))))

unit-programs: $(UNIT_TESTS)
UNIT_SCRIPTS := $(wildcard tests/unit/*.t)
test-unit: unit-programs
	prove $(UNIT_TESTS) $(UNIT_SCRIPTS)
.PHONY: unit-programs test-unit
