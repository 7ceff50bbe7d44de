/*
 * many.c - makes and removes many empty files at once, and says when others see them:
 *
 *   many DIRECTORY COUNT
 *
 * Built with nothing but <jfspre.h>; run it as it is, or by `jfspre run` with a DIRECTORY in the
 * volume.
 */
#include <jfspre.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    size_t n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    char **names = calloc(n + 1, sizeof *names);
    int dir = argc == 3 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;

    if (n == 0 || names == NULL) {
        fprintf(stderr, "usage: %s DIRECTORY COUNT\n", argv[0]);
        return 2;
    }
    if (dir < 0) {
        perror(argv[1]);
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        names[i] = malloc(32);
        if (names[i] == NULL)
            return 1;
        snprintf(names[i], 32, "file%zu", i);
    }
    const char *const *list = (const char *const *)names;
    if (jfspre_create_many(dir, list, n, 0644, NULL) != 0) {
        perror("jfspre_create_many");
        return 1;
    }
    if (jfspre_flush() != 0) {
        perror("jfspre_flush");
        return 1;
    }
    printf("%zu files are there for everybody\n", n);
    if (jfspre_unlink_many(dir, list, n - 1, NULL) != 0) {
        perror("jfspre_unlink_many");
        return 1;
    }
    printf("%s is left\n", names[n - 1]);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    close(dir);
    return 0;
}
