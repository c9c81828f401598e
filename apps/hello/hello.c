/*
 * Prints a line and ends with its first argument as status: the smallest program that shows it all
 * works.
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    printf("Hello from %s, with %d argument%s\n", argc ? argv[0] : "nobody", argc - 1,
           argc == 2 ? "" : "s");
    return argc > 1 ? atoi(argv[1]) : 0;
}
