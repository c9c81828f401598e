# lwIP: Debian's source, copied, patched (net/patches, each with its reason), compiled with the kernel's flags but without warnings.
LWIP_FROM := $(firstword $(wildcard $(BUILD)/src/lwip $(BUILD)/src/lwip-*))
LWIP_DIR := $(BUILD)/lwip
LWIP_SRC := def inet_chksum init ip netif pbuf raw tcp tcp_in tcp_out udp \
    ipv4/dhcp ipv4/etharp ipv4/icmp ipv4/igmp ipv4/ip4 ipv4/ip4_addr ipv4/ip4_frag \
    ipv6/ethip6 ipv6/icmp6 ipv6/inet6 ipv6/ip6 ipv6/ip6_addr ipv6/ip6_frag ipv6/mld6 ipv6/nd6
LWIP_C := $(LWIP_SRC:%=$(LWIP_DIR)/src/core/%.c) $(LWIP_DIR)/src/netif/ethernet.c
LWIP_OBJS := $(LWIP_C:$(LWIP_DIR)/src/%.c=$(LWIP_DIR)/obj/%.o)
LWIP_CPPFLAGS := -Inet -isystem $(LWIP_DIR)/src/include -isystem net/lwip_libc

$(LWIP_DIR)/.patched: $(wildcard net/patches/*.patch)
	rm -rf $(LWIP_DIR)/src
	mkdir -p $(LWIP_DIR)/obj
	cp -r $(LWIP_FROM)/src $(LWIP_DIR)/src
	find $(LWIP_DIR)/src -name '*.[ch]' -exec sed -i 's/\r$$//' {} +
	for p in net/patches/*.patch; do patch -s -p1 -d $(LWIP_DIR) < $$p || exit 1; done
	touch $@
$(LWIP_C): $(LWIP_DIR)/.patched ;

$(LWIP_DIR)/obj/%.o: $(LWIP_DIR)/src/%.c $(LWIP_DIR)/.patched $(KINCLUDE)/.done
	@mkdir -p $(@D)
	@echo '  CC      $<'
	@$(CC) $(KERNEL_CPPFLAGS) $(LWIP_CPPFLAGS) $(KERNEL_CFLAGS) -w -MD -MP -c $< -o $@
$(LWIP_DIR)/obj/core/init.o: LWIP_CPPFLAGS += -DTCP_WND=65536
-include $(LWIP_OBJS:.o=.d)

$(BUILD)/kernel/net/%.o: KERNEL_CPPFLAGS += $(LWIP_CPPFLAGS)
$(BUILD)/kernel/net/%.o: net/%.c $(LWIP_DIR)/.patched $(KINCLUDE)/.done
	@mkdir -p $(@D)
	@echo '  CC      $<'
	@$(CC) $(KERNEL_CPPFLAGS) $(KERNEL_CFLAGS) $(CFLAGS_$(*)) -MD -MP -c $< -o $@
