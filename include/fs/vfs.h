/* Files by path, for system calls and for the kernel itself. All may sleep; all return a negative errno (or ERR_PTR) on failure. */
#ifndef FS_VFS_H
#define FS_VFS_H

#include <fs/path.h>
#include <fs/vnode.h>

struct file;
struct stat;

/* The directory that dirfd stands for (AT_FDCWD: the working directory), with a reference. ERR_PTR(-EBADF). A path that starts with a slash
   needs none: any dirfd is right then. */
struct vnode *vfs_base(int dirfd, const char *path);
/* Resolves path from dirfd; takes and releases vfs_lock. AT_EMPTY_PATH in at_flags: an empty path is the file of dirfd itself. */
int vfs_lookup(int dirfd, const char *path, int at_flags, unsigned path_flags, struct path *out) WARN_UNUSED;

/* As open(2). */
struct file *vfs_open(int dirfd, const char *path, int flags, uint32_t mode);
/* A file for v itself, which O_CREAT, O_EXCL and O_NOFOLLOW do not concern. */
struct file *vfs_open_vnode(struct vnode *v, int flags);
/* Creates a directory, regular file, socket name, or symbolic link (to target). The permissions are masked by the umask. */
int vfs_create(int dirfd, const char *path, uint32_t mode, const char *target);
int vfs_remove(int dirfd, const char *path, bool directory);

int vfs_chdir(const char *path);
int vfs_chdir_vnode(struct vnode *v);
/* The working directory, with a reference. */
struct vnode *vfs_cwd(void);
uint32_t vfs_umask(uint32_t mask); /* sets it and returns the former one */

/* Makes path a regular file with this content, replacing what it held. */
int vfs_write_file(const char *path, const void *data, size_t len);
/* Reads at most size bytes of a file; the bytes read. */
ssize_t vfs_read_file(const char *path, void *buf, size_t size);

/* struct stat of a vnode. */
void vfs_stat(struct vnode *v, struct stat *st);
void vfs_getattr(struct vnode *v, struct vnode_attr *attr);

extern const struct file_ops vfs_dir_file_ops; /* of open directories */

#endif
