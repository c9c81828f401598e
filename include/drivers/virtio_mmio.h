/* Virtio devices in plain memory, named on the command line. */
#ifndef DRIVERS_VIRTIO_MMIO_H
#define DRIVERS_VIRTIO_MMIO_H

/* Takes note of a device: "SIZE@BASE:IRQ[:ID]", with or without "virtio_mmio.device=" before it, as QEMU and Firecracker append it
   to the command line. Numbers as in C; SIZE may end in K, M or G. 0, -EINVAL, -ENOSPC. Before INIT_DRIVER; needs no heap. */
int virtio_mmio_cmdline(const char *spec);

#endif
