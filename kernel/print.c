/* vsnprintf for the kernel: integers, strings, characters, pointers; no floating point. */
#include <kernel/print.h>
#include <kernel/string.h>

struct out {
    char *buf;
    size_t size, len;
};

struct spec {
    bool left, zero, plus, space, alt, upper;
    int width, precision; /* precision -1: none */
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_bytes(struct out *o, const char *s, size_t n)
{
    if (o->len + 1 < o->size)
        memcpy(o->buf + o->len, s, MIN(n, o->size - 1 - o->len));
    o->len += n;
}

static void pad(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

static void put_string(struct out *o, const struct spec *sp, const char *s)
{
    if (!s)
        s = "(null)";
    int n = (int)(sp->precision >= 0 ? strnlen(s, (size_t)sp->precision) : strlen(s));
    if (!sp->left)
        pad(o, ' ', sp->width - n);
    put_bytes(o, s, (size_t)n);
    if (sp->left)
        pad(o, ' ', sp->width - n);
}

static void put_char(struct out *o, const struct spec *sp, char c)
{
    if (!sp->left)
        pad(o, ' ', sp->width - 1);
    put(o, c);
    if (sp->left)
        pad(o, ' ', sp->width - 1);
}

/* A decimal number without width, precision or sign: most of them. */
static void put_plain(struct out *o, unsigned long v)
{
    char tmp[20], *p = tmp + sizeof(tmp);
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    put_bytes(o, p, (size_t)(tmp + sizeof(tmp) - p));
}

static void put_number(struct out *o, const struct spec *sp, unsigned long v, unsigned base, char sign)
{
    if (base == 10 && !sp->width && sp->precision < 0 && !sign) {
        put_plain(o, v);
        return;
    }
    const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char tmp[24];
    int n = 0;
    const char *prefix = sp->alt && v && base == 16 ? (sp->upper ? "0X" : "0x") : "";

    for (unsigned long x = v; x; x /= base)
        tmp[n++] = digits[x % base];
    if (!n && sp->precision != 0)
        tmp[n++] = '0';
    if (sp->alt && base == 8 && sp->precision <= n && (!n || tmp[n - 1] != '0'))
        tmp[n++] = '0'; /* octal: one more digit, unless a zero leads already */
    int prefix_len = (int)strlen(prefix) + (sign != 0);
    int zeros = sp->precision > n ? sp->precision - n : 0;
    if (sp->precision < 0 && sp->zero && !sp->left && sp->width > n + prefix_len)
        zeros = sp->width - n - prefix_len;
    int fill = sp->width - n - zeros - prefix_len;
    if (!sp->left)
        pad(o, ' ', fill);
    if (sign)
        put(o, sign);
    while (*prefix)
        put(o, *prefix++);
    pad(o, '0', zeros);
    while (n)
        put(o, tmp[--n]);
    if (sp->left)
        pad(o, ' ', fill);
}

static const char *parse_spec(const char *f, struct spec *sp, va_list *ap)
{
    *sp = (struct spec){.precision = -1};
    for (;; f++) {
        if (*f == '-') sp->left = true;
        else if (*f == '0') sp->zero = true;
        else if (*f == '+') sp->plus = true;
        else if (*f == ' ') sp->space = true;
        else if (*f == '#') sp->alt = true;
        else break;
    }
    if (*f == '*') {
        sp->width = va_arg(*ap, int);
        if (sp->width < 0) {
            sp->left = true;
            sp->width = -sp->width;
        }
        f++;
    } else {
        while (*f >= '0' && *f <= '9')
            sp->width = sp->width * 10 + (*f++ - '0');
    }
    if (*f == '.') {
        f++;
        sp->precision = 0;
        if (*f == '*') {
            sp->precision = va_arg(*ap, int);
            f++;
        } else {
            while (*f >= '0' && *f <= '9')
                sp->precision = sp->precision * 10 + (*f++ - '0');
        }
    }
    return f;
}

static unsigned long unsigned_arg(va_list *ap, int size)
{
    switch (size) {
    case -2: return (unsigned char)va_arg(*ap, unsigned);
    case -1: return (unsigned short)va_arg(*ap, unsigned);
    case 0: return va_arg(*ap, unsigned);
    default: return va_arg(*ap, unsigned long);
    }
}

static long signed_arg(va_list *ap, int size)
{
    switch (size) {
    case -2: return (signed char)va_arg(*ap, int);
    case -1: return (short)va_arg(*ap, int);
    case 0: return va_arg(*ap, int);
    default: return va_arg(*ap, long);
    }
}

int vsnprintf(char *buf, size_t size, const char *f, va_list args)
{
    struct out o = {buf, size, 0};
    va_list ap;
    va_copy(ap, args);
    for (; *f; f++) {
        if (*f != '%') { /* text up to the next conversion */
            size_t n = 1;
            while (f[n] && f[n] != '%')
                n++;
            put_bytes(&o, f, n);
            f += n - 1;
            continue;
        }
        struct spec sp;
        f = parse_spec(f + 1, &sp, &ap);
        int len = 0; /* hh -2, h -1, l/ll/z/j/t 1 */
        for (;; f++) {
            if (*f == 'h') len--;
            else if (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't') len = 1;
            else break;
        }
        switch (*f) {
        case 'd':
        case 'i': {
            long v = signed_arg(&ap, len);
            char sign = v < 0 ? '-' : sp.plus ? '+' : sp.space ? ' ' : 0;
            put_number(&o, &sp, v < 0 ? -(unsigned long)v : (unsigned long)v, 10, sign);
            break;
        }
        case 'u': put_number(&o, &sp, unsigned_arg(&ap, len), 10, 0); break;
        case 'o': put_number(&o, &sp, unsigned_arg(&ap, len), 8, 0); break;
        case 'X': sp.upper = true; /* fall through */
        case 'x': put_number(&o, &sp, unsigned_arg(&ap, len), 16, 0); break;
        case 'p':
            sp.alt = true;
            put_number(&o, &sp, (unsigned long)va_arg(ap, void *), 16, 0);
            break;
        case 's': put_string(&o, &sp, va_arg(ap, const char *)); break;
        case 'c': put_char(&o, &sp, (char)va_arg(ap, int)); break;
        case '%': put(&o, '%'); break;
        case 0: f--; /* fall through */
        default: put(&o, '?');
        }
    }
    va_end(ap);
    if (size)
        buf[MIN(o.len, size - 1)] = 0;
    return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
