/* Nothing here is needed on Linux; libevent includes it all the same. */
#define _GNU_SOURCE 1
