/* EROFS images in memory: superblock, inodes, and where a file's bytes lie. Linux Documentation/filesystems/erofs.rst and
   fs/erofs/erofs_fs.h describe the format.

   The image may be hostile. Every offset that comes from it is checked against the image's size where it is used, with arithmetic
   that can not overflow: offsets stay below 2^48 and are 64 bits wide. All fields are little endian, and may be unaligned. */
#include <asm/errno.h>
#include <fs/erofs.h>
#include <kernel/string.h>
#include <linux/stat.h>

#define SUPER_OFFSET 1024u
#define SUPER_BYTES 128u
#define SUPER_MAGIC 0xe0f5e1e2u
#define INCOMPAT_DEVICE_TABLE 0x8u
#define NID_BYTES 32u
#define COMPACT_BYTES 32u
#define EXTENDED_BYTES 64u
#define XATTR_HEADER_BYTES 12u
#define BLOCK_BITS_MIN 9u
#define BLOCK_BITS_MAX 16u
#define SIZE_MAX_BYTES (1ull << 47)

enum { LAYOUT_PLAIN = 0, LAYOUT_INLINE = 2, LAYOUT_CHUNKS = 4 };
#define CHUNK_BITS_MASK 0x1fu
#define CHUNK_INDEXES 0x20u
#define CHUNK_HOLE 0xffffffffu

/* Little endian values, alignment 1 (x86 is little endian). */
static uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}
static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}
static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static bool in_image(const struct erofs *fs, uint64_t offset, uint64_t len)
{
    return offset <= fs->size && len <= fs->size - offset;
}

int erofs_open(struct erofs *fs, const void *image, uint64_t size)
{
    *fs = (struct erofs){.image = image, .size = MIN(size, SIZE_MAX_BYTES)};
    if (!in_image(fs, SUPER_OFFSET, SUPER_BYTES))
        return -EINVAL;
    const uint8_t *sb = fs->image + SUPER_OFFSET;
    fs->block_bits = sb[12];
    if (get32(sb) != SUPER_MAGIC || fs->block_bits < BLOCK_BITS_MIN ||
        fs->block_bits > BLOCK_BITS_MAX)
        return -EINVAL;
    /* Bit 3 is shared with a second compression head; what is compressed is refused for each inode. */
    if (get32(sb + 80) & INCOMPAT_DEVICE_TABLE && get16(sb + 86) != 0)
        return -EOPNOTSUPP;
    fs->root_nid = get16(sb + 14);
    fs->build_time = get64(sb + 24);
    fs->meta_start = (uint64_t)get32(sb + 40) << fs->block_bits;
    struct erofs_inode root;
    int r = erofs_inode_get(fs, fs->root_nid, &root);
    if (r == 0 && (root.mode & S_IFMT) != S_IFDIR)
        r = -EINVAL;
    return r;
}

/* Seconds of an image as nanoseconds; nonsense becomes 0. */
static uint64_t seconds_ns(uint64_t s, uint32_t ns)
{
    return s < (1ull << 33) && ns < 1000000000u ? s * 1000000000u + ns : 0;
}

static void read_compact(const struct erofs *fs, const uint8_t *p, struct erofs_inode *inode)
{
    inode->size = get32(p + 8);
    inode->nlink = get16(p + 6);
    inode->uid = get16(p + 24);
    inode->gid = get16(p + 26);
    inode->mtime_ns = seconds_ns(fs->build_time, 0);
}

static void read_extended(const uint8_t *p, struct erofs_inode *inode)
{
    inode->size = get64(p + 8);
    inode->uid = get32(p + 24);
    inode->gid = get32(p + 28);
    inode->mtime_ns = seconds_ns(get64(p + 32), get32(p + 40));
    inode->nlink = get32(p + 44);
}

/* The second meaning of the block address field. */
static int read_union(const struct erofs *fs, uint32_t value, struct erofs_inode *inode)
{
    uint32_t type = inode->mode & S_IFMT;
    inode->start_block = value;
    if (type == S_IFCHR || type == S_IFBLK) {
        inode->rdev = value;
        return 0;
    }
    switch (inode->layout) {
    case LAYOUT_PLAIN:
    case LAYOUT_INLINE:
        return 0;
    case LAYOUT_CHUNKS:
        inode->chunk_bits = (uint8_t)(fs->block_bits + (value & CHUNK_BITS_MASK));
        inode->chunk_indexes = value & CHUNK_INDEXES;
        inode->tail = ALIGN_UP(inode->tail, inode->chunk_indexes ? 8u : 4u);
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

int erofs_inode_get(const struct erofs *fs, uint64_t nid, struct erofs_inode *inode)
{
    if (nid >= SIZE_MAX_BYTES / NID_BYTES)
        return -EIO;
    uint64_t offset = fs->meta_start + nid * NID_BYTES;
    if (!in_image(fs, offset, COMPACT_BYTES))
        return -EIO;
    const uint8_t *p = fs->image + offset;
    unsigned format = get16(p), xattrs = get16(p + 2);
    unsigned bytes = format & 1 ? EXTENDED_BYTES : COMPACT_BYTES;
    if (!in_image(fs, offset, bytes))
        return -EIO;
    *inode = (struct erofs_inode){.nid = nid, .mode = get16(p + 4)};
    if (format & 1)
        read_extended(p, inode);
    else
        read_compact(fs, p, inode);
    if (inode->size > SIZE_MAX_BYTES)
        return -EIO;
    inode->layout = format >> 1 & 7;
    inode->tail = offset + bytes + (xattrs ? XATTR_HEADER_BYTES + (xattrs - 1) * 4u : 0);
    return read_union(fs, get32(p + 16), inode);
}

/* The piece at start + within, of which piece bytes lie together. */
static int piece(const struct erofs *fs, uint64_t start, uint64_t within, uint64_t bytes,
                 const uint8_t **data, uint64_t *len)
{
    if (!in_image(fs, start, bytes))
        return -EIO;
    *data = fs->image + start + within;
    *len = bytes - within;
    return 0;
}

static int chunk_data(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset,
                      const uint8_t **data, uint64_t *len)
{
    uint64_t index = offset >> inode->chunk_bits;
    uint64_t start = index << inode->chunk_bits;
    unsigned unit = inode->chunk_indexes ? 8 : 4;
    uint64_t entry = inode->tail + index * unit;
    if (!in_image(fs, entry, unit))
        return -EIO;
    const uint8_t *p = fs->image + entry;
    uint32_t block = get32(p + (inode->chunk_indexes ? 4 : 0));
    uint64_t bytes = MIN(1ull << inode->chunk_bits, inode->size - start);
    if (block == CHUNK_HOLE) {
        *data = NULL;
        *len = bytes - (offset - start);
        return 0;
    }
    if (inode->chunk_indexes && get16(p + 2) != 0)
        return -EIO; /* another device */
    return piece(fs, (uint64_t)block << fs->block_bits, offset - start, bytes, data, len);
}

int erofs_data(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset,
               const uint8_t **data, uint64_t *len)
{
    *data = NULL;
    *len = 0;
    if (offset >= inode->size)
        return 0;
    if (inode->layout == LAYOUT_CHUNKS)
        return chunk_data(fs, inode, offset, data, len);
    uint64_t blocks_bytes = inode->size;
    if (inode->layout == LAYOUT_INLINE) /* all but the last, partial block */
        blocks_bytes = (inode->size - 1) >> fs->block_bits << fs->block_bits;
    if (offset < blocks_bytes)
        return piece(fs, (uint64_t)inode->start_block << fs->block_bits, offset, blocks_bytes, data,
                     len);
    return piece(fs, inode->tail, offset - blocks_bytes, inode->size - blocks_bytes, data, len);
}
