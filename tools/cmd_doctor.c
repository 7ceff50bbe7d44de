/*
 * cmd_doctor.c - `jfspre doctor`: says in plain words why programs would not see the volume here.
 *
 * Each check is one function and one row of the table; it prints what it found and the rest go on,
 * so that one run names everything.
 */
#include "tools/doctor.h"
#include "tools/program.h"

#include "core/base/clock.h"
#include "core/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
static const struct option options[] = {
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

static void say(const char *word, const char *fmt, va_list ap)
{
    printf("%-8s ", word);
    vprintf(fmt, ap);
    putchar('\n');
}

#define SAYS(name, word, count)                                                                    \
    void name(struct doctor *d, const char *fmt, ...)                                              \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        say(word, fmt, ap);                                                                        \
        va_end(ap);                                                                                \
        d->problems += count;                                                                      \
    }
SAYS(doctor_ok, "ok", 0)
SAYS(doctor_note, "note", 0)
SAYS(doctor_problem, "PROBLEM", 1)

/* --- the volume ------------------------------------------------------------------------------- */

static void check_volume(struct doctor *d)
{
    char err[512];

    if (d->c.meta == NULL) {
        doctor_problem(d,
                       "metadata: no URL: set JFSPRE_META, or `meta` in ~/.config/jfspre/config");
        return;
    }
    struct volume *v = &d->vol;
    int rc = engine_open(d->c.meta, &v->engine, err, sizeof err);
    if (rc < 0) {
        doctor_problem(d, "metadata: %s", err);
        return;
    }
    const char *name = v->engine->ops->name(v->engine);
    struct buf json = {0};
    rc = v->engine->ops->get_setting(v->engine, &json);
    uint64_t start = clock_mono_ms(), calls = 0;
    if (rc == -ENODATA) {
        doctor_problem(d, "metadata: %s is not formatted: jfspre format makes a volume", name);
    } else if (rc < 0) {
        doctor_problem(d, "metadata: %s", v->engine->ops->error(v->engine));
    } else if (setting_parse((char *)json.data, json.len, &v->set, err, sizeof err) < 0) {
        doctor_problem(d, "metadata: %s: setting: %s", name, err);
    } else {
        for (; rc == 0 && calls < 10; calls++) {
            buf_clear(&json);
            rc = v->engine->ops->get_setting(v->engine, &json);
        }
        doctor_ok(d, "metadata: %s answers, %.1f ms a round trip", name,
                  (double)(clock_mono_ms() - start) / 10);
        if (setting_supported(&v->set, err, sizeof err) < 0)
            doctor_problem(d, "volume: %s: %s", v->set.name, err);
        else
            doctor_ok(d, "volume: %s, all its features are known", v->set.name);
        d->has_volume = true;
    }
    buf_free(&json);
}

/* The place carries the volume's UUID: another directory of the same name is noticed. */
static void check_uuid(struct doctor *d, const char *place)
{
    char path[sizeof d->vol.set.bucket + 128], text[64] = "";

    snprintf(path, sizeof path, "%s/juicefs_uuid", place);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return; /* nothing needs it */
    if (fgets(text, sizeof text, f) != NULL)
        text[strcspn(text, "\n")] = '\0';
    fclose(f);
    if (strcmp(text, d->vol.set.uuid) != 0)
        doctor_problem(d, "store: %s belongs to another volume (%s)", place, text);
}

static void check_store(struct doctor *d)
{
    struct store *store = NULL;
    char err[512], place[sizeof d->vol.set.bucket + sizeof d->vol.set.name + 16];
    char chunks[sizeof place + 8];
    int before = d->problems;

    if (!d->has_volume)
        return;
    int rc = store_open(&d->vol.set, &store, err, sizeof err);
    store_close(store);
    if (rc < 0) {
        doctor_problem(d, "store: %s", err);
        return;
    }
    snprintf(place, sizeof place, "%s%s", d->vol.set.bucket, d->vol.set.name);
    snprintf(chunks, sizeof chunks, "%s/chunks", place);
    const char *dir = access(chunks, F_OK) == 0 ? chunks : place;
    if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
        doctor_problem(d, "store: %s cannot be written by you: %s", dir, strerror(errno));
    check_uuid(d, place);
    if (d->problems == before)
        doctor_ok(d, "store: %s", place);
}

/* --- the program ------------------------------------------------------------------------------ */

static void check_program(struct doctor *d)
{
    struct program_verdict v;
    char path[PATH_MAX];

    if (d->program == NULL)
        return;
    int rc = program_find(d->program, path, sizeof path);
    if (rc == 0)
        rc = program_check(path, &v);
    if (rc < 0)
        doctor_problem(d, "program: %s: %s", d->program, strerror(-rc));
    else if (v.served)
        doctor_ok(d, "program: %s can be served", path);
    else if (strcmp(v.path, path) == 0)
        doctor_problem(d, "program: %s cannot be served: %s", path, v.why);
    else
        doctor_problem(d, "program: %s cannot be served: it is run by %s, and %s", path, v.path,
                       v.why);
}

static void (*const checks[])(struct doctor *) = {
    check_library, check_process, check_prefix,  check_cache,
    check_volume,  check_store,   check_program,
};

static int doctor_main(const struct cmd *self, int argc, char **argv)
{
    struct doctor d = {0};
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "+", options, &d.c)) != -1)
        if (opt == '?')
            goto out;
    if (optind < argc)
        d.program = argv[optind];
    rc = cmd_config(self, &d.c, NULL);
    if (rc != CMD_OK)
        goto out;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](&d);
    rc = d.problems > 0 ? CMD_PROBLEM : CMD_OK;
out:
    volume_close(&d.vol);
    config_free(&d.c);
    return rc;
}

const struct cmd cmd_doctor = {
    .name = "doctor",
    .args = "[OPTIONS] [PROGRAM]",
    .brief = "say why the volume would not work here",
    .help = "Looks at the library, the prefix, the cache directory, the metadata, the volume's "
            "features\n"
            "and its store, and at PROGRAM (static, Go, setuid, another libc).  One line each.\n\n"
            "exit codes: 0 nothing stands in the way, 1 a problem was found, 2 usage\n",
    .main = doctor_main,
};
