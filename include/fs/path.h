/* Path resolution. */
#ifndef FS_PATH_H
#define FS_PATH_H

#include <fs/vnode.h>

#define PATH_MAX_BYTES 4096 /* with the terminating zero */
#define NAME_MAX_BYTES 255

#define PATH_NOFOLLOW 1u /* a symbolic link at the end is the result itself */
#define PATH_CREATE 2u   /* the last name may be missing: dir and name are set, vnode is NULL; EISDIR when it ends in a slash */
#define PATH_LITERAL 4u  /* as both; the last name is for unlink, rename, ...: "." and ".." have an empty name */

struct path {
    struct vnode *dir;   /* directory that holds the last name; NULL when the path ends in "/", "." or ".." */
    struct vnode *vnode; /* NULL: does not exist (PATH_CREATE) */
    unsigned name_len;
    bool trailing_slash;
    char name[NAME_MAX_BYTES + 1];
};

/* Resolves path from start (a directory; absolute paths start at vfs_root). With vfs_lock held. 0 or -ENOENT, -ENOTDIR, -ELOOP,
   -ENAMETOOLONG, -ENOMEM; with vfs_lock held for reading also VNODE_NEEDS_WRITER: to be done again with it held for writing. On success the caller calls path_put, after it has released vfs_lock if it likes. */
int path_walk(struct vnode *start, const char *path, unsigned flags, struct path *out) WARN_UNUSED;
void path_put(struct path *p);
/* The absolute path of v, terminated; its length or a negative errno (ENOENT: not reachable, ERANGE: does not fit). With vfs_lock held. */
int path_of(struct vnode *v, char *buf, size_t size);

#endif
