/* What memcached's configure script would find, for musl on x86_64. */
#define PACKAGE "memcached"
#define PACKAGE_NAME "memcached"
#define PACKAGE_STRING "memcached 1.6.18"
#define VERSION "1.6.18"

#define _GNU_SOURCE 1
#define ENDIAN_LITTLE 1
#define EXTSTORE 1
#define HAVE_ACCEPT4 1
#define HAVE_CLOCK_GETTIME 1
#define HAVE_EVENTFD 1
#define HAVE_GCC_64ATOMICS 1
#define HAVE_GCC_ATOMICS 1
#define HAVE_GETOPT_LONG 1
#define HAVE_INTTYPES_H 1
#define HAVE_MLOCKALL 1
#define HAVE_PREAD 1
#define HAVE_PREADV 1
#define HAVE_STDBOOL_H 1
#define HAVE_SYSCONF 1
#define HAVE_UNISTD_H 1

#include <stdbool.h>
#include <inttypes.h>
