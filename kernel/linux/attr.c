/* Calls that change attributes: chmod, chown, utimensat, umask. */
#include <fs/file.h>
#include <fs/vfs.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/fcntl.h>

#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe
#define SECONDS_MAX 9000000000ll /* what fits in 63 bits of nanoseconds, nearly */

static long set(struct vnode *v, const struct vnode_attr *attr, unsigned which)
{
    return v->ops->setattr ? v->ops->setattr(v, attr, which) : -EPERM;
}

static long set_fd(int fd, const struct vnode_attr *attr, unsigned which)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = f->vnode ? set(f->vnode, attr, which) : -EINVAL;
    file_put(f);
    return r;
}

static long set_path(int dirfd, const char *path, int flags, const struct vnode_attr *attr, unsigned which)
{
    struct path p;
    if (!user_range_ok(path, 1))
        return -EFAULT;
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int r = vfs_lookup(dirfd, path, flags, flags & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, &p);
    if (r < 0)
        return r;
    long done = set(p.vnode, attr, which);
    path_put(&p);
    return done;
}

SYSCALL(chmod, 2, "path, mode", SYSCALL_COMPLETE)
long sys_chmod(const char *path, unsigned mode)
{
    return set_path(AT_FDCWD, path, 0, &(struct vnode_attr){.mode = mode}, VNODE_SET_MODE);
}

SYSCALL(fchmod, 2, "fd, mode", SYSCALL_COMPLETE)
long sys_fchmod(int fd, unsigned mode)
{
    return set_fd(fd, &(struct vnode_attr){.mode = mode}, VNODE_SET_MODE);
}

SYSCALL(fchmodat, 3, "dirfd, path, mode", SYSCALL_COMPLETE)
long sys_fchmodat(int dirfd, const char *path, unsigned mode)
{
    return set_path(dirfd, path, 0, &(struct vnode_attr){.mode = mode}, VNODE_SET_MODE);
}

/* -1 leaves an owner as it is. */
static unsigned owners(unsigned uid, unsigned gid)
{
    return (uid == UINT32_MAX ? 0 : VNODE_SET_UID) | (gid == UINT32_MAX ? 0 : VNODE_SET_GID);
}

SYSCALL(fchownat, 5, "dirfd, path, uid, gid, flags", SYSCALL_COMPLETE)
long sys_fchownat(int dirfd, const char *path, unsigned uid, unsigned gid, int flags)
{
    return set_path(dirfd, path, flags, &(struct vnode_attr){.uid = uid, .gid = gid}, owners(uid, gid));
}

SYSCALL(chown, 3, "path, uid, gid", SYSCALL_COMPLETE)
long sys_chown(const char *path, unsigned uid, unsigned gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

SYSCALL(lchown, 3, "path, uid, gid", SYSCALL_COMPLETE)
long sys_lchown(const char *path, unsigned uid, unsigned gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

SYSCALL(fchown, 3, "fd, uid, gid", SYSCALL_COMPLETE)
long sys_fchown(int fd, unsigned uid, unsigned gid)
{
    return set_fd(fd, &(struct vnode_attr){.uid = uid, .gid = gid}, owners(uid, gid));
}

/* One of the two times: 1 when it is to be set, 0 when it stays, or -EINVAL. */
static int time_wanted(const struct timespec64 *t, int64_t *ns)
{
    *ns = (int64_t)clock_realtime_ns();
    if (!t || t->nsec == UTIME_NOW)
        return 1;
    if (t->nsec == UTIME_OMIT)
        return 0;
    if ((uint64_t)t->nsec >= NS_PER_SEC)
        return -EINVAL;
    *ns = MAX(MIN(t->sec, SECONDS_MAX), -SECONDS_MAX) * (int64_t)NS_PER_SEC + t->nsec;
    return 1;
}

SYSCALL(utimensat, 4, "dirfd, path, times, flags", SYSCALL_COMPLETE)
long sys_utimensat(int dirfd, const char *path, const struct timespec64 *times, int flags)
{
    struct vnode_attr attr = {0};
    if (times && !user_range_ok(times, 2 * sizeof(*times)))
        return -EFAULT;
    int a = time_wanted(times, &attr.atime), m = time_wanted(times ? times + 1 : NULL, &attr.mtime);
    if (a < 0 || m < 0)
        return -EINVAL;
    unsigned which = (a ? VNODE_SET_ATIME : 0) | (m ? VNODE_SET_MTIME : 0);
    return path ? set_path(dirfd, path, flags, &attr, which) : set_fd(dirfd, &attr, which);
}

static struct timespec64 of_timeval(const struct timeval64 *t)
{
    return (struct timespec64){t->sec, (uint64_t)t->usec < 1000000 ? t->usec * 1000 : -1};
}

SYSCALL(futimesat, 3, "dirfd, path, times", SYSCALL_COMPLETE)
long sys_futimesat(int dirfd, const char *path, const struct timeval64 *times)
{
    struct timespec64 t[2];
    if (times && !user_range_ok(times, 2 * sizeof(*times)))
        return -EFAULT;
    if (times) {
        t[0] = of_timeval(&times[0]);
        t[1] = of_timeval(&times[1]);
    }
    struct vnode_attr attr = {0};
    if (time_wanted(times ? &t[0] : NULL, &attr.atime) < 0 || time_wanted(times ? &t[1] : NULL, &attr.mtime) < 0)
        return -EINVAL;
    return set_path(dirfd, path, 0, &attr, VNODE_SET_ATIME | VNODE_SET_MTIME);
}

SYSCALL(utimes, 2, "path, times", SYSCALL_COMPLETE)
long sys_utimes(const char *path, const struct timeval64 *times)
{
    return sys_futimesat(AT_FDCWD, path, times);
}

SYSCALL(umask, 1, "mask", SYSCALL_COMPLETE)
long sys_umask(unsigned mask)
{
    return vfs_umask(mask);
}
