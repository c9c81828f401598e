/* SOURCES: fs/erofs.c fs/erofs_dir.c tests/unit/host/host.c */
/* The EROFS reader on images made by mkfs.erofs: large and small files, sparse ones, many names in a directory, links, in each layout; then
   thousands of damaged copies, of which everything reachable is read under ASan, in a buffer that ends where the image ends. */
#include <asm/errno.h>
#include <fs/erofs.h>
#include <kernel/print.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <linux/stat.h>
#include "host/host.h"
#include "tap.h"

#define FOLDER "build/unit/erofs-folder"
#define MANY 3000

static const char make_folder[] =
    "rm -rf " FOLDER " && mkdir -p " FOLDER "/dir/sub " FOLDER "/many && cd " FOLDER " && : > empty && printf hello > small && "
    "head -c 4096 /dev/zero | tr '\\0' x > page && head -c 5000 /dev/zero | tr '\\0' y > tail && head -c 300000 /dev/zero | tr '\\0' z > dir/large && "
    "head -c 5 /dev/zero | tr '\\0' s > sparse && truncate -s 1000000 sparse && printf end >> sparse && "
    "ln -s dir/large link && ln small hard && i=0; while [ $i -lt 3000 ]; do : > many/name-$i; i=$((i+1)); done";

static int pack(const char *options, const char *image)
{
    char command[400];
    snprintf(command, sizeof(command), "mkfs.erofs --quiet %s %s " FOLDER " >/dev/null 2>&1", options, image);
    return host_run(command);
}

/* The inode at a path without links. */
static int find(const struct erofs *fs, const char *path, struct erofs_inode *inode)
{
    int r = erofs_inode_get(fs, fs->root_nid, inode);
    while (r == 0 && *path) {
        const char *end = strchr(path, '/');
        size_t len = end ? (size_t)(end - path) : strlen(path);
        uint64_t nid;
        r = erofs_lookup(fs, inode, path, len, &nid);
        r = r ? r : erofs_inode_get(fs, nid, inode);
        path += len + (end != NULL);
    }
    return r;
}

/* True when the file has this size, and first, then fill, then the last bytes. */
static bool holds(const struct erofs *fs, const char *path, uint64_t size, char fill, const char *last)
{
    struct erofs_inode inode;
    if (find(fs, path, &inode) || inode.size != size || (inode.mode & S_IFMT) != S_IFREG)
        return false;
    size_t tail = strlen(last);
    for (uint64_t at = 0; at < size;) {
        const uint8_t *data;
        uint64_t len;
        if (erofs_data(fs, &inode, at, &data, &len) || len == 0 || len > size - at)
            return false;
        for (uint64_t i = 0; i < len; i++) {
            char want = at + i >= size - tail ? last[at + i - (size - tail)] : fill;
            if ((data ? (char)data[i] : 0) != want && !(fill == 0 && at + i < 5))
                return false;
        }
        at += len;
    }
    return true;
}

static void check_image(const char *options, const char *name)
{
    char image[] = "build/unit/erofs-test.img", text[80];
    size_t size;
    struct erofs fs;
    struct erofs_inode inode;
    bool right = pack(options, image) == 0;
    void *data = right ? host_read_file(image, &size) : NULL;
    right = data && erofs_open(&fs, data, size) == 0;
    right = right && holds(&fs, "empty", 0, 0, "") && holds(&fs, "small", 5, 'h', "hello") && holds(&fs, "page", 4096, 'x', "") &&
            holds(&fs, "tail", 5000, 'y', "") && holds(&fs, "dir/large", 300000, 'z', "") &&
            holds(&fs, "sparse", 1000003, 0, "end") && holds(&fs, "hard", 5, 'h', "hello");
    right = right && find(&fs, "link", &inode) == 0 && (inode.mode & S_IFMT) == S_IFLNK && inode.size == 9;
    right = right && find(&fs, "nothing", &inode) == -ENOENT && find(&fs, "many/name-3000", &inode) == -ENOENT;
    for (int i = 0; right && i < MANY; i++) {
        snprintf(text, sizeof(text), "many/name-%d", i);
        right = find(&fs, text, &inode) == 0;
    }
    unsigned listed = 0;
    if (right && find(&fs, "many", &inode) == 0) {
        struct erofs_entry e;
        for (uint64_t cookie = 0; erofs_readdir(&fs, &inode, &cookie, &e) > 0;)
            listed++;
    }
    ok(right && listed == MANY + 2, name);
    host_free(data);
}

/* Reads everything that can be reached, up to a budget. */
static unsigned budget;
static uint64_t sum;

static void read_all(const struct erofs *fs, uint64_t nid, unsigned depth)
{
    struct erofs_inode inode;
    if (budget == 0 || --budget == 0 || erofs_inode_get(fs, nid, &inode))
        return;
    if ((inode.mode & S_IFMT) == S_IFDIR) {
        struct erofs_entry e;
        uint64_t found;
        for (uint64_t cookie = 0; budget && erofs_readdir(fs, &inode, &cookie, &e) > 0;) {
            sum += erofs_lookup(fs, &inode, e.name, e.len, &found) == 0;
            if (depth < 6)
                read_all(fs, e.nid, depth + 1);
        }
        return;
    }
    const uint8_t *data;
    uint64_t len;
    for (uint64_t at = 0; budget && erofs_data(fs, &inode, at, &data, &len) == 0 && len; at += len, budget--) {
        for (uint64_t i = 0; data && i < len; i += 509)
            sum += data[i];
        sum += data ? data[len - 1] : 0;
    }
}

static void fuzz(const char *options, const char *name, unsigned rounds)
{
    char image[] = "build/unit/erofs-test.img";
    size_t size;
    struct erofs fs;
    uint8_t *original = pack(options, image) == 0 ? host_read_file(image, &size) : NULL;
    unsigned opened = 0;
    for (unsigned i = 0; original && i < rounds; i++) {
        size_t n = random_u64() % 8 ? size : random_u64() % size;
        uint8_t *copy = host_malloc(n + !n);
        memcpy(copy, original, n);
        unsigned hits = 1 + (unsigned)(random_u64() % 40);
        for (unsigned h = 0; h < hits && n > 1024; h++) {
            /* Mostly where the superblock, the inodes and the names are. */
            size_t at = random_u64() % 4 == 0 ? 1024 + random_u64() % 128 : random_u64() % n;
            if (at < n)
                copy[at] = random_u64() % 3 ? (uint8_t)random_u64() : (uint8_t)-(random_u64() & 1);
        }
        if (n > 1028 && random_u64() % 16)
            memcpy(copy + 1024, original + 1024, random_u64() % 2 && n > 1152 ? 48 : 4);
        if (erofs_open(&fs, copy, n) == 0) {
            opened++;
            budget = 2000;
            read_all(&fs, fs.root_nid, 0);
        }
        host_free(copy);
    }
    printf("# %u of %u damaged images open\n", opened, rounds);
    ok(opened > 0, name);
    host_free(original);
}

int main(void)
{
    if (host_run("command -v mkfs.erofs >/dev/null") != 0) {
        printf("1..0 # SKIP mkfs.erofs is missing\n");
        return 0;
    }
    ok(host_run(make_folder) == 0, "the folder is made");
    check_image("-x-1 -Eforce-inode-compact", "compact inodes");
    check_image("-x-1 -Eforce-inode-extended", "extended inodes");
    check_image("-Enoinline_data", "no inline data");
    check_image("--chunksize=4096", "chunks of 4 KiB");
    check_image("--chunksize=65536 -Eforce-inode-extended", "chunks of 64 KiB");
    host_run("rm -r " FOLDER "/many; mkdir " FOLDER "/many; touch " FOLDER "/many/a " FOLDER "/many/b");
    fuzz("-x-1", "damaged images with flat files do no harm", 4000);
    fuzz("--chunksize=4096", "damaged images with chunks do no harm", 4000);
    struct erofs fs;
    static char garbage[4096];
    ok(erofs_open(&fs, garbage, sizeof(garbage)) == -EINVAL && erofs_open(&fs, garbage, 0) == -EINVAL, "no image");
    host_run("rm -rf " FOLDER " build/unit/erofs-test.img");
    return done();
}
