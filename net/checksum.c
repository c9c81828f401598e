/* The Internet checksum (RFC 1071) in software, for what no device computes. Eight bytes a step; the one's complement sum does not
   depend on byte order. Returned not inverted, as lwIP wants it. */
#include <kernel/compiler.h>
#include <kernel/string.h>

uint16_t net_checksum(const void *data, int len);

uint16_t net_checksum(const void *data, int len)
{
    const uint8_t *p = data;
    uint64_t sum = 0, v;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&v, p, 8);
        sum += v;
        sum += sum < v;
    }
    if (len > 0) {
        v = 0;
        for (int i = 0; i < len; i++)
            v |= (uint64_t)p[i] << (8 * i);
        sum += v;
        sum += sum < v;
    }
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
