/* Devices and drivers. A bus finds devices and offers each to the registered drivers; a driver is one table in one file:

       DRIVER(virtio_net) = {.name = "virtio-net", .bus = "virtio", .match = match, .probe = probe};
*/
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include <kernel/compiler.h>

struct device {
    const char *bus;     /* "pci", "virtio", ... */
    char name[24];       /* "00:03.0", "virtio-mmio@feb00e00" */
    const struct driver *driver; /* NULL until one took it */
    void *driver_data;
    struct device *next;
};

struct driver {
    const char *name;
    const char *bus;
    bool (*match)(struct device *dev);
    int (*probe)(struct device *dev);   /* 0, or a negative errno: the device stays without a driver, and the log says so */
    void (*shutdown)(struct device *dev); /* quiet the device before power-off; may be NULL */
};
#define DRIVER(id) LINKER_TABLE(driver, struct driver, id)

/* For buses: takes note of a device and offers it to the drivers. */
void device_add(struct device *dev);
void devices_shutdown(void);

#endif
