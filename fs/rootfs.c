/* The tree that programs start with: ramfs at /, over the EROFS image between __rootfs_start and __rootfs_end if there is one; /dev, /proc and
   /sys; /dev/shm; and the few files under /etc that a C library asks for, unless the image brings its own. */
#include <fs/ramfs.h>
#include <fs/synthfs.h>
#include <fs/vfs.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <linux/fcntl.h>

extern const char __rootfs_start[], __rootfs_end[];

static const struct vnode_ops shm_ops = {.parent = synthfs_parent, .path = synthfs_path,
    .getattr = synthfs_getattr, .statfs = synthfs_statfs, .release = synthfs_release};
SYNTH_FILE(dev_shm, .path = "/dev/shm", .mode = S_IFDIR | 01777, .dir = &shm_ops);

static struct erofs image;

static const struct erofs *open_image(void)
{
    size_t size = (size_t)(__rootfs_end - __rootfs_start);
    if (size == 0)
        return NULL;
    int r = erofs_open(&image, __rootfs_start, size);
    if (r < 0) {
        log_error("rootfs: the embedded image is no EROFS file system that can be used (error %d), starting without", r);
        return NULL;
    }
    return &image;
}

static void make_dir(const char *path, uint32_t mode)
{
    int r = vfs_create(AT_FDCWD, path, S_IFDIR | mode, NULL);
    if (r < 0 && r != -EEXIST)
        log_warn("rootfs: can not create %s, error %d", path, r);
}

static void make_file(const char *path, const char *text)
{
    struct path p;
    if (vfs_lookup(AT_FDCWD, path, 0, 0, &p) == 0) {
        path_put(&p);
        return;
    }
    int r = vfs_write_file(path, text, strlen(text));
    if (r < 0)
        log_warn("rootfs: can not create %s, error %d", path, r);
}

/* Mounts root (its reference is taken over) at path. */
static void mount(const char *path, const char *type, struct vnode *root)
{
    struct path p;
    int r = IS_ERR(root) ? (int)PTR_ERR(root) : vfs_lookup(AT_FDCWD, path, 0, 0, &p);
    if (r == 0) {
        rwlock_write_lock(&vfs_lock);
        r = mount_add(p.vnode, root, type, path);
        rwlock_write_unlock(&vfs_lock);
        path_put(&p);
    }
    if (!IS_ERR(root))
        vnode_put(root);
    if (r < 0)
        log_error("rootfs: can not mount %s, error %d", path, r);
}

static void rootfs_init(void)
{
    struct vnode *root = ramfs_new(open_image());
    if (IS_ERR(root))
        root = ramfs_new(NULL);
    if (IS_ERR(root))
        panic("rootfs: no memory for the root directory");
    vfs_root = root;
    uint32_t mask = vfs_umask(0);
    static const char *const dirs[] = {"/dev", "/proc", "/sys", "/etc", "/root", "/var", "/run"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        make_dir(dirs[i], 0755);
    make_dir("/tmp", 01777);
    mount("/dev", "devtmpfs", synthfs_new("/dev"));
    mount("/proc", "proc", synthfs_new("/proc"));
    mount("/sys", "sysfs", synthfs_new("/sys"));
    mount("/dev/shm", "tmpfs", ramfs_new(NULL));
    make_file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n");
    make_file("/etc/group", "root:x:0:\nnogroup:x:65534:\n");
    make_file("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
    vfs_umask(mask);
}
INIT(INIT_FS, rootfs_init);
