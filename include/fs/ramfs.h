/* The file system in memory, alone or over a read-only EROFS image. */
#ifndef FS_RAMFS_H
#define FS_RAMFS_H

#include <fs/erofs.h>
#include <fs/vnode.h>

/* The root of a new file system, over lower (which stays in memory for good) unless that is NULL. ERR_PTR(-ENOMEM), -EIO. */
struct vnode *ramfs_new(const struct erofs *lower);

#endif
