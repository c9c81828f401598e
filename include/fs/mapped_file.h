/* What a file answers when it is mapped: its pages in place. */
#ifndef FS_MAPPED_FILE_H
#define FS_MAPPED_FILE_H

#include <mm/page.h>

struct file;
struct mapped_file {
    struct file *file;  /* reference held while mapped */
    /* Physical page that holds the byte at offset (page aligned), for reading in place; 0: beyond the end or no memory.
       NULL: the mapping is filled by readv into private pages. */
    paddr_t (*page)(struct mapped_file *m, uint64_t offset);
    bool shared_writable; /* pages may be written in place by MAP_SHARED */
};

#endif
