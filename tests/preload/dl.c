/* dlopen of a library in the directory; and of others, found beside the caller as without us. */
#include "t.h"

#include <dlfcn.h>
#include <link.h>

static void copy_library(const char *name, const char *to)
{
    static char buf[1 << 16];
    struct link_map *map;
    void *lib = dlopen(name, RTLD_NOW);
    ssize_t n;

    if (lib == NULL || dlinfo(lib, RTLD_DI_LINKMAP, &map) != 0) {
        printf("%s: %s\n", name, dlerror());
        return;
    }
    int in = open(map->l_name, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0644);
    while ((n = read(in, buf, sizeof(buf))) > 0)
        if (write(out, buf, (size_t)n) != n)
            break;
    close(in);
    SHOW(close(out));
}

static void use(const char *label, void *lib)
{
    double (*cosine)(double) = NULL;

    if (lib != NULL)
        *(void **)&cosine = dlsym(lib, "cos");
    printf("%s: %s\n", label, cosine != NULL ? cosine(0) == 1 ? "works" : "wrong" : "absent");
}

int main(int argc, char **argv)
{
    void *first, *again;

    begin(argc, argv);
    copy_library("libm.so.6", "libcopy.so");
    use("absolute", first = dlopen(in_top("libcopy.so"), RTLD_NOW));
    use("relative", again = dlopen("./libcopy.so", RTLD_NOW | RTLD_LOCAL));
    printf("one library: %d\n", first == again);
    SHOW(unlink("libcopy.so"));
    use("unlinked", first);
    SHOW(dlclose(again));
    SHOW(dlclose(first));
    use("absent", dlopen(in_top("libcopy.so"), RTLD_NOW));
    put_file("text", "not a library");
    use("text", dlopen("./text", RTLD_NOW));
    use("no slash", dlopen("libm.so.6", RTLD_NOW));
    use("own name space", dlmopen(LM_ID_NEWLM, "libm.so.6", RTLD_NOW));
    printf("the program: %d\n", dlopen(NULL, RTLD_NOW) != NULL);
    return 0;
}
