/* Devices and drivers. Buses call device_add for what they find; the registered drivers are tried in link order and the first that
   matches and whose probe succeeds owns the device. A driver whose probe finds another bus (virtio-pci) calls device_add in
   turn, so the list's lock is not held across a probe. Devices are never removed. */
#include <drivers/driver.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <sched/mutex.h>

static struct mutex list_lock = MUTEX_INIT;
static struct device *devices; /* newest first; list_lock protects the list, a device's own fields belong to its probe */

static bool driver_takes(const struct driver *drv, struct device *dev)
{
    return strcmp(drv->bus, dev->bus) == 0 && (drv->match == NULL || drv->match(dev));
}

static void device_probe(struct device *dev)
{
    LINKER_TABLE_FOREACH(driver, struct driver, drv) {
        if (!driver_takes(drv, dev))
            continue;
        int err = drv->probe(dev);
        if (err == 0) {
            dev->driver = drv;
            return;
        }
        log_warn("%s %s: the driver gave up on the device: error %d", drv->name, dev->name, -err);
    }
}

void device_add(struct device *dev)
{
    dev->driver = NULL;
    mutex_lock(&list_lock);
    dev->next = devices;
    devices = dev;
    mutex_unlock(&list_lock);
    device_probe(dev);
}

/* Newest first, so that a device is quiet before the bus that carries it. Without the lock: this also runs when the machine ends in
   an emergency, and devices are only ever added at the head. */
void devices_shutdown(void)
{
    for (struct device *dev = devices; dev != NULL; dev = dev->next)
        if (dev->driver != NULL && dev->driver->shutdown != NULL)
            dev->driver->shutdown(dev);
}
