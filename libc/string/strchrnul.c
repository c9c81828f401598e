#define _GNU_SOURCE
#include <string.h>
#include "sse.h"

char *__strchrnul(const char *s, int c)
{
    return sse_find(s, c);
}

extern __typeof(__strchrnul) strchrnul __attribute__((__weak__, __alias__("__strchrnul")));
