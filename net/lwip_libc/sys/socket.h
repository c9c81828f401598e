/* linux/if.h takes struct sockaddr from the C library. */
struct sockaddr {
    unsigned short sa_family;
    char sa_data[14];
};
