/* lwIP's view of the compiler and of the kernel. Its assertions that input from outside can reach were reviewed: none is left that
   a packet can trip, so a failing one is a broken invariant of ours and panics. */
#ifndef NET_ARCH_CC_H
#define NET_ARCH_CC_H

#include <kernel/log.h>
#include <kernel/random.h>
#include <stdint.h>

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_LIMITS_H 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#define SSIZE_MAX INT64_MAX
#define INT_MAX __INT_MAX__
#define X8_F "02x"
#define U16_F "hu"
#define S16_F "hd"
#define X16_F "hx"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"

#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) panic("lwip: %s (%s:%d)", x, __FILE__, __LINE__)
#define LWIP_RAND() ((uint32_t)random_u64())
#define BYTE_ORDER LITTLE_ENDIAN
#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)

#endif
