# Tests that run inside the guest, and the same files as a Linux program. tests/guest/tests.inc lists them, in order.
#   make guest-host    builds build/guest-host/tests with the host's C library and runs it
GUEST_TESTS_C := $(wildcard tests/guest/*.c)
# What a test does on purpose: faults, endless recursion, texts that are cut off.
GUEST_TEST_WARNINGS := -Wno-unused-parameter -Wno-format-truncation -Wno-infinite-recursion -Wno-array-bounds -Wno-clobbered
GUEST_HOST := $(BUILD)/guest-host
GUEST_HOST_OBJS := $(GUEST_TESTS_C:tests/guest/%.c=$(GUEST_HOST)/%.o)

$(GUEST_HOST_OBJS): $(GUEST_HOST)/%.o: tests/guest/%.c tests/guest/guest.mk
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror -fno-strict-aliasing $(GUEST_TEST_WARNINGS) \
	    $(if $(filter runner,$*),,-Dmain=$*_main) -MMD -MP -c $< -o $@
$(GUEST_HOST)/tests: $(GUEST_HOST_OBJS)
	$(CC) -pthread -o $@ $^ -lm

guest-host: $(GUEST_HOST)/tests
	$(GUEST_HOST)/tests
.PHONY: guest-host
-include $(GUEST_HOST_OBJS:.o=.d)
