/* stat and its kin, access, readlink, statfs. Everything runs as root: access refuses only to execute a regular file that nobody may execute. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <fs/file.h>
#include <fs/vfs.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <linux/magic.h>

#define R_OK 4
#define W_OK 2
#define X_OK 1

/* Files without a name: sockets and the like may answer themselves. */
static void stat_file(struct file *f, struct stat *st)
{
    *st = (struct stat){.st_mode = 0600, .st_nlink = 1, .st_blksize = 4096};
    if (f->vnode)
        vfs_stat(f->vnode, st);
    else if (f->ops->stat)
        f->ops->stat(f, st);
}

static long fd_stat(int fd, struct stat *st)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    stat_file(f, st);
    file_put(f);
    return 0;
}

static long path_stat(int dirfd, const char *path, int flags, struct stat *st)
{
    struct path p;
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE))
        return -EINVAL;
    if (flags & AT_EMPTY_PATH && (!path || (user_range_ok(path, 1) && !*path)) && dirfd != AT_FDCWD)
        return fd_stat(dirfd, st);
    if (!user_range_ok(path, 1))
        return -EFAULT;
    int r = vfs_lookup(dirfd, path, flags, flags & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, &p);
    if (r < 0)
        return r;
    vfs_stat(p.vnode, st);
    path_put(&p);
    return 0;
}

SYSCALL(fstat, 2, "fd, st", SYSCALL_COMPLETE)
long sys_fstat(int fd, struct stat *st)
{
    return user_range_ok(st, sizeof(*st)) ? fd_stat(fd, st) : -EFAULT;
}

SYSCALL(newfstatat, 4, "dirfd, path, st, flags", SYSCALL_COMPLETE)
long sys_newfstatat(int dirfd, const char *path, struct stat *st, int flags)
{
    return user_range_ok(st, sizeof(*st)) ? path_stat(dirfd, path, flags, st) : -EFAULT;
}

SYSCALL(stat, 2, "path, st", SYSCALL_COMPLETE)
long sys_stat(const char *path, struct stat *st)
{
    return sys_newfstatat(AT_FDCWD, path, st, 0);
}

SYSCALL(lstat, 2, "path, st", SYSCALL_COMPLETE)
long sys_lstat(const char *path, struct stat *st)
{
    return sys_newfstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

static struct statx_timestamp statx_time(unsigned long sec, unsigned long nsec)
{
    return (struct statx_timestamp){.tv_sec = (int64_t)sec, .tv_nsec = (uint32_t)nsec};
}

SYSCALL(statx, 5, "dirfd, path, flags, mask, out", SYSCALL_COMPLETE)
long sys_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out)
{
    struct stat st;
    if (!user_range_ok(out, sizeof(*out)))
        return -EFAULT;
    if (mask & STATX__RESERVED)
        return -EINVAL;
    long r = path_stat(dirfd, path, flags, &st);
    if (r < 0)
        return r;
    *out = (struct statx){.stx_mask = STATX_BASIC_STATS, .stx_blksize = (uint32_t)st.st_blksize,
                          .stx_nlink = (uint32_t)st.st_nlink, .stx_uid = st.st_uid, .stx_gid = st.st_gid,
                          .stx_mode = (uint16_t)st.st_mode, .stx_ino = st.st_ino,
                          .stx_size = (uint64_t)st.st_size, .stx_blocks = (uint64_t)st.st_blocks,
                          .stx_dev_major = (uint32_t)(st.st_dev >> 8 & 0xfff),
                          .stx_dev_minor = (uint32_t)(st.st_dev & 0xff),
                          .stx_rdev_major = (uint32_t)(st.st_rdev >> 8 & 0xfff),
                          .stx_rdev_minor = (uint32_t)(st.st_rdev & 0xff)};
    out->stx_atime = statx_time(st.st_atime, st.st_atime_nsec);
    out->stx_mtime = statx_time(st.st_mtime, st.st_mtime_nsec);
    out->stx_ctime = statx_time(st.st_ctime, st.st_ctime_nsec);
    return 0;
}

static long access_at(int dirfd, const char *path, int wanted, int flags)
{
    struct path p;
    if (!user_range_ok(path, 1))
        return -EFAULT;
    if (wanted & ~(R_OK | W_OK | X_OK) || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int r = vfs_lookup(dirfd, path, flags, flags & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, &p);
    if (r < 0)
        return r;
    if (wanted & X_OK && vnode_is(p.vnode, S_IFREG) && !(p.vnode->mode & 0111))
        r = -EACCES;
    path_put(&p);
    return r;
}

SYSCALL(access, 2, "path, mode", SYSCALL_COMPLETE)
long sys_access(const char *path, int mode)
{
    return access_at(AT_FDCWD, path, mode, 0);
}

SYSCALL(faccessat, 3, "dirfd, path, mode", SYSCALL_COMPLETE)
long sys_faccessat(int dirfd, const char *path, int mode)
{
    return access_at(dirfd, path, mode, 0);
}

SYSCALL(faccessat2, 4, "dirfd, path, mode, flags", SYSCALL_COMPLETE)
long sys_faccessat2(int dirfd, const char *path, int mode, int flags)
{
    return access_at(dirfd, path, mode, flags);
}

SYSCALL(readlinkat, 4, "dirfd, path, buf, size", SYSCALL_COMPLETE)
long sys_readlinkat(int dirfd, const char *path, char *buf, int size)
{
    struct path p;
    if (size <= 0)
        return -EINVAL;
    if (!user_range_ok(path, 1) || !user_range_ok(buf, (size_t)size))
        return -EFAULT;
    int r = vfs_lookup(dirfd, path, AT_EMPTY_PATH, PATH_NOFOLLOW, &p);
    if (r < 0)
        return r;
    long n = p.vnode->ops->readlink ? p.vnode->ops->readlink(p.vnode, buf, (size_t)size) : -EINVAL;
    path_put(&p);
    return n;
}

SYSCALL(readlink, 3, "path, buf, size", SYSCALL_COMPLETE)
long sys_readlink(const char *path, char *buf, int size)
{
    return sys_readlinkat(AT_FDCWD, path, buf, size);
}

static void vnode_statfs(struct vnode *v, struct statfs *st)
{
    *st = (struct statfs){.f_type = TMPFS_MAGIC, .f_bsize = 4096, .f_frsize = 4096, .f_namelen = 255};
    if (v && v->ops->statfs)
        v->ops->statfs(v, st);
}

SYSCALL(statfs, 2, "path, st", SYSCALL_COMPLETE)
long sys_statfs(const char *path, struct statfs *st)
{
    struct path p;
    if (!user_range_ok(path, 1) || !user_range_ok(st, sizeof(*st)))
        return -EFAULT;
    int r = vfs_lookup(AT_FDCWD, path, 0, 0, &p);
    if (r < 0)
        return r;
    vnode_statfs(p.vnode, st);
    path_put(&p);
    return 0;
}

SYSCALL(fstatfs, 2, "fd, st", SYSCALL_COMPLETE)
long sys_fstatfs(int fd, struct statfs *st)
{
    if (!user_range_ok(st, sizeof(*st)))
        return -EFAULT;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    vnode_statfs(f->vnode, st);
    file_put(f);
    return 0;
}
