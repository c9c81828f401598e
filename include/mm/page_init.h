/* Start-up of the page allocator and the kernel heap. */
#ifndef MM_PAGE_INIT_H
#define MM_PAGE_INIT_H

#include <kernel/boot.h>

/* Takes over all RAM of info except the first 64 KiB, the image, and its own tables, which it puts behind the image (or elsewhere below 1 GiB).
   The cost depends on the number of ranges, plus one bit for each 2 MiB. 0 or -ENOMEM. */
int page_init(const struct boot_info *info);
/* page_init hands out what the boot page tables map, the first GiB; this adds the rest, once all is mapped. */
void page_init_rest(const struct boot_info *info);
void kmem_init(void);
/* What another CPU needs, before it starts. 0 or -ENOMEM. */
struct percpu;
int page_cpu_init(struct percpu *p);
int kmem_cpu_init(struct percpu *p);

#endif
