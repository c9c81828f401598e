#include <string.h>
#include "sse.h"

char *strchr(const char *s, int c)
{
    char *p = sse_find(s, c);

    return *p == (char)c ? p : 0;
}
