/* Directories of EROFS images. A directory is a sequence of blocks, each an array of 12-byte entries (nid, offset of the name in the block, type)
   followed by the names; a name ends where the next begins, the last one at a zero byte or the block's end. Names are in order of
   their bytes over the whole directory, so a lookup is a binary search for the block, then in the block.

   Nothing in a block is believed: see struct dir_block. A damaged order makes names unfindable, no more. */
#include <asm/errno.h>
#include <fs/erofs.h>
#include <kernel/string.h>

#define ENTRY_BYTES 12u
#define NAME_MAX_BYTES 255u
#define COOKIE_SHIFT 13 /* entries in a block: at most 65536 / 12 */

/* A block whose entry count is checked: count * ENTRY_BYTES <= bytes. */
struct dir_block {
    const uint8_t *data;
    unsigned bytes, count;
};

static unsigned name_offset(const struct dir_block *b, unsigned i)
{
    const uint8_t *p = b->data + i * ENTRY_BYTES + 8;
    return p[0] | (unsigned)p[1] << 8;
}

static uint64_t block_count(const struct erofs *fs, const struct erofs_inode *dir)
{
    return (dir->size + (1ull << fs->block_bits) - 1) >> fs->block_bits;
}

static int block_get(const struct erofs *fs, const struct erofs_inode *dir, uint64_t index,
                     struct dir_block *b)
{
    uint64_t offset = index << fs->block_bits, len;
    uint64_t bytes = MIN(1ull << fs->block_bits, dir->size - offset);
    int r = erofs_data(fs, dir, offset, &b->data, &len);
    if (r < 0)
        return r;
    if (!b->data || len < bytes || bytes < ENTRY_BYTES)
        return -EIO;
    b->bytes = (unsigned)bytes;
    b->count = 1; /* for name_offset of the first */
    unsigned first = name_offset(b, 0);
    if (first < ENTRY_BYTES || first % ENTRY_BYTES || first > b->bytes)
        return -EIO;
    b->count = first / ENTRY_BYTES;
    return 0;
}

static int entry_get(const struct dir_block *b, unsigned i, struct erofs_entry *e)
{
    unsigned start = name_offset(b, i);
    unsigned end = i + 1 < b->count ? name_offset(b, i + 1) : b->bytes;
    if (start < b->count * ENTRY_BYTES || end > b->bytes || start >= end)
        return -EIO;
    const uint8_t *p = b->data + i * ENTRY_BYTES;
    memcpy(&e->nid, p, sizeof(e->nid));
    /* EROFS types are those of ext2: unknown, file, directory, character, block, FIFO, socket, link. */
    static const uint8_t dirent_types[] = {0, 8, 4, 2, 6, 1, 12, 10};
    e->type = p[10] < ARRAY_SIZE(dirent_types) ? dirent_types[p[10]] : 0;
    e->name = (const char *)b->data + start;
    e->len = strnlen(e->name, end - start);
    if (e->len == 0 || e->len > NAME_MAX_BYTES || memchr(e->name, '/', e->len))
        return -EIO;
    return 0;
}

static int name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int c = memcmp(a, b, MIN(a_len, b_len));
    return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* The last block whose first name is not after name: -ENOENT when there is none. */
static int find_block(const struct erofs *fs, const struct erofs_inode *dir, const char *name,
                      size_t len, struct dir_block *b)
{
    uint64_t low = 0, high = block_count(fs, dir); /* the block lies in [low - 1, high) */
    struct erofs_entry e;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int r = block_get(fs, dir, middle, b) ?: entry_get(b, 0, &e);
        if (r < 0)
            return r;
        if (name_compare(e.name, e.len, name, len) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? -ENOENT : block_get(fs, dir, low - 1, b);
}

int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name, size_t len,
                 uint64_t *nid)
{
    struct dir_block b;
    struct erofs_entry e;
    int r = find_block(fs, dir, name, len, &b);
    if (r < 0)
        return r;
    for (unsigned low = 0, high = b.count; low < high;) {
        unsigned middle = low + (high - low) / 2;
        r = entry_get(&b, middle, &e);
        if (r < 0)
            return r;
        int c = name_compare(e.name, e.len, name, len);
        if (c == 0) {
            *nid = e.nid;
            return 0;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -ENOENT;
}

int erofs_readdir(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *cookie,
                  struct erofs_entry *entry)
{
    struct dir_block b;
    uint64_t index = *cookie >> COOKIE_SHIFT;
    unsigned i = (unsigned)(*cookie & ((1u << COOKIE_SHIFT) - 1));
    for (; index < block_count(fs, dir); index++, i = 0) {
        int r = block_get(fs, dir, index, &b);
        if (r < 0)
            return r;
        if (i < b.count) {
            *cookie = (index << COOKIE_SHIFT) + i + 1;
            return entry_get(&b, i, entry) ?: 1;
        }
    }
    return 0;
}
