/* Reader of EROFS images that lie in memory. Data is never copied: callers get pointers into the image. */
#ifndef FS_EROFS_H
#define FS_EROFS_H

#include <kernel/compiler.h>

struct erofs {
    const uint8_t *image;
    uint64_t size;
    unsigned block_bits;   /* 9 to 16 */
    uint64_t meta_start;   /* byte offset of inode 0 */
    uint64_t root_nid;
    uint64_t build_time;   /* seconds; the time of compact inodes */
};

struct erofs_inode {
    uint64_t nid, size;
    uint64_t mtime_ns;
    uint32_t mode, uid, gid, nlink, rdev;
    uint8_t layout;        /* private from here on */
    uint8_t chunk_bits;    /* chunk-based: log2 of the chunk's bytes */
    bool chunk_indexes;
    uint32_t start_block;  /* flat: first block */
    uint64_t tail;         /* byte offset of what follows the inode: inline data or the chunk table */
};

/* 0; -EINVAL: not an EROFS image or damaged; -EOPNOTSUPP: uses several devices. */
int erofs_open(struct erofs *fs, const void *image, uint64_t size) WARN_UNUSED;
/* 0; -EIO: damaged; -EOPNOTSUPP: compressed. */
int erofs_inode_get(const struct erofs *fs, uint64_t nid, struct erofs_inode *inode) WARN_UNUSED;
/* The bytes at offset, contiguous for *len bytes (at least 1, at most to the end of the file): *data is NULL for a hole. 0 at or beyond the
   end with *len = 0; -EIO: damaged. */
int erofs_data(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset,
               const uint8_t **data, uint64_t *len) WARN_UNUSED;
/* The entry called name in a directory: 0, -ENOENT, -EIO. */
int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name, size_t len,
                 uint64_t *nid) WARN_UNUSED;

struct erofs_entry {
    const char *name; /* in the image, not terminated */
    size_t len;       /* 1 to 255 */
    uint64_t nid;
    unsigned type;    /* DT_* */
};
/* The entry at *cookie (0: the first), also "." and ".."; advances the cookie. 1: found, 0: end, -EIO: damaged. */
int erofs_readdir(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *cookie,
                  struct erofs_entry *entry) WARN_UNUSED;

#endif
