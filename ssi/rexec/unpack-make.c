/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes of the files of a program what is executed: the links in the job's folder, path, arguments and environment. Called by keepers once all files are
 * there. An RPATH (not a RUNPATH) of the program is looked at before its LD_LIBRARY_PATH: where the node has another version of the library just there, that
 * one is taken.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "ssi/rexec/libs.h"
#include "ssi/rexec/unpack-internal.h"

#define MAKE_LOADER_MAX (4u << 20)
#define MAKE_LINE 256

struct make {
	struct ssi_unpack *u;
	struct ssi_err *e;
	char **argv, **env;
	size_t n_argv, n_env;
	const char *libraries;       /* the folder of the links to them; NULL: none are needed */
};

/* Where its bytes are. */
static char *make_real(struct make *k, const struct unpack_file *f)
{
	return f->own ? ssi_arena_strdup(&k->u->arena, f->m->path) : ssi_arena_printf(&k->u->arena, "%s/%s", ssi_blobs_path(k->u->blobs), f->hex);
}

static int make_memory(struct make *k)
{
	return ssi_errf(k->e, -ENOMEM, "no memory for %s", k->u->main->m->path);
}

/* In place of one that an earlier try has left. */
static int make_name(const char *real, const char *path, bool hard)
{
	int r = hard ? link(real, path) : symlink(real, path);

	if (r < 0 && errno == EEXIST && unlink(path) == 0)
		r = hard ? link(real, path) : symlink(real, path);
	return r < 0 ? -errno : 0;
}

/* DIR/folder/name, a link to where f is; hard: to a blob, one that is a file of that folder for whoever asks where it lies. */
static int make_link(struct make *k, const char *folder, const char *name, const struct unpack_file *f, bool hard, const char **ret)
{
	char *dir = ssi_arena_printf(&k->u->arena, "%s/%s", k->u->dir, folder), *path = ssi_arena_printf(&k->u->arena, "%s/%s/%s", k->u->dir, folder, name);
	char *real = make_real(k, f);
	int r = 0;

	if (!dir || !path || !real)
		return make_memory(k);
	if (mkdir(dir, 0755) == 0)
		r = chmod(dir, 0755);    /* whatever the umask is */
	else if (errno != EEXIST)
		r = -1;
	if (r < 0)
		return ssi_errno(k->e, -errno, "%s", dir);
	r = make_name(real, path, hard);
	if (r < 0)
		return ssi_errno(k->e, r, "%s", path);
	*ret = path;
	return 0;
}

static int make_arg(struct make *k, const char *s)
{
	char *copy = s ? strdup(s) : NULL;

	if (!copy)
		return make_memory(k);
	k->argv[k->n_argv++] = copy;
	return 0;
}

static int make_args(struct make *k, size_t n, const ProtobufCBinaryData *args)
{
	for (size_t i = 0; i < n; i++)
		if (!(k->argv[k->n_argv++] = strndup((const char *)args[i].data, args[i].len)))
			return make_memory(k);
	return 0;
}

/* --- libraries --- */

/*
 * The program's own loader gets all of them. The node's own looks into its folders by itself; a library elsewhere it may have been told of by an RPATH that
 * is true at home alone.
 */
static int make_libraries(struct make *k)
{
	struct ssi_unpack *u = k->u;
	const char *path;

	for (size_t i = 0; i < u->program->n_libraries; i++) {
		const struct unpack_file *f = &u->libraries[i];
		int r;

		if (f->spare || (!u->foreign && f->own && ssi_libs_is_default(f->m->path, u->folders)))
			continue;
		r = make_link(k, "lib", unpack_base(f->m->path), f, false, &path);
		if (r < 0)
			return r;
		if (!k->libraries && !(k->libraries = ssi_arena_printf(&u->arena, "%s/lib", u->dir)))
			return make_memory(k);
	}
	return 0;
}

/* --- arguments --- */

/* Does env(1) stand on the script's #! line? Then the interpreter is what env looked for, and comm its name. */
static bool make_is_env(struct make *k)
{
	const char *real = make_real(k, k->u->main);
	_cleanup_close_ int fd = real ? unpack_open(k->u, real) : -1;
	char line[MAKE_LINE + 1], *word = line + 2;
	ssize_t n = fd < 0 ? -1 : pread(fd, line, MAKE_LINE, 0);

	if (n < 2 || strncmp(line, "#!", 2) != 0)
		return false;
	line[n] = '\0';
	word += strspn(word, " \t");
	word[strcspn(word, " \t\n")] = '\0';
	return !strcmp(unpack_base(word), "env");
}

/* What the kernel makes of the #! line. */
static int make_script(struct make *k, size_t n, const ProtobufCBinaryData *argv)
{
	struct ssi_unpack *u = k->u;
	const char *path = u->main->m->path;
	int r = 0;

	if (!u->main->own)
		r = make_link(k, "script", unpack_base(path), u->main, true, &path);
	if (r >= 0)
		r = make_arg(k, u->elf->m->path);
	if (r >= 0 && u->program->n_script_args)
		r = make_arg(k, u->program->script_args[0]);
	if (r >= 0)
		r = make_arg(k, path);
	return r < 0 ? r : make_args(k, n - 1, argv + 1);
}

/* Older loaders (glibc before 2.33) have no --argv0: the program's first argument is its path then. */
static bool make_knows_argv0(struct make *k)
{
	_cleanup_free_ char *text = malloc(MAKE_LOADER_MAX);
	const char *real = make_real(k, k->u->interpreter);
	_cleanup_close_ int fd = real ? unpack_open(k->u, real) : -1;
	ssize_t n = fd < 0 || !text ? -1 : ssi_fd_read_full(fd, text, MAKE_LOADER_MAX);

	return n > 0 && memmem(text, (size_t)n, "--argv0", 8);
}

/* The loader as a program: it is told in front of the arguments what the kernel and its own folders would have told it. */
static int make_foreign(struct make *k)
{
	_cleanup_free_ char **old = TAKE_PTR(k->argv);
	size_t n = k->n_argv;
	const char *path = k->u->elf->m->path;
	int r = 0;

	k->n_argv = 0;
	k->argv = calloc(n + 8, sizeof(*k->argv));
	if (k->argv && !k->u->elf->own)
		r = make_link(k, "main", unpack_base(path), k->u->elf, false, &path);
	if (k->argv && r >= 0)
		r = make_arg(k, old[0]);
	if (k->argv && r >= 0 && make_knows_argv0(k)) {
		r = make_arg(k, "--argv0");
		r = r < 0 ? r : make_arg(k, old[0]);
	}
	if (k->argv && r >= 0 && k->libraries) {
		r = make_arg(k, "--library-path");
		r = r < 0 ? r : make_arg(k, k->libraries);
	}
	if (k->argv && r >= 0)
		r = make_arg(k, path);
	for (size_t i = 0; i < n; i++) {
		if (i && k->argv && r >= 0)
			k->argv[k->n_argv++] = old[i];
		else
			free(old[i]);
	}
	return k->argv ? r : make_memory(k);
}

static int make_argv(struct make *k, size_t n, const ProtobufCBinaryData *argv)
{
	bool script = k->u->program->kind == SSI__JOB__PROGRAM__KIND__SCRIPT;
	int r;

	k->argv = calloc(n + 4, sizeof(*k->argv));
	if (!k->argv)
		return make_memory(k);
	r = script ? make_script(k, n, argv) : make_args(k, n, argv);
	return r >= 0 && k->u->foreign ? make_foreign(k) : r;
}

/* comm is the base name of what is executed, so it is a link with the right one. */
static int make_path(struct make *k, const char **ret)
{
	struct ssi_unpack *u = k->u;
	bool script = u->program->kind == SSI__JOB__PROGRAM__KIND__SCRIPT;
	const struct unpack_file *named = script && make_is_env(k) ? u->elf : u->main;

	if (!u->foreign && !script && u->elf->own) {
		*ret = u->elf->m->path;
		return 0;
	}
	return make_link(k, "bin", unpack_base(named->m->path), u->foreign ? u->interpreter : u->elf, false, ret);
}

/* --- environment --- */

static int make_env(struct make *k, size_t n, const ProtobufCBinaryData *env)
{
	static const char name[] = "LD_LIBRARY_PATH=";
	const size_t len = sizeof(name) - 1;
	const char *libraries = k->u->foreign ? NULL : k->libraries;
	_cleanup_free_ char *old = NULL;

	k->env = calloc(n + 2, sizeof(*k->env));
	for (size_t i = 0; k->env && i < n; i++) {
		char *copy = strndup((const char *)env[i].data, env[i].len);

		if (copy && libraries && !old && !strncmp(copy, name, len))
			old = copy;
		else if (!copy)
			return make_memory(k);
		else
			k->env[k->n_env++] = copy;
	}
	if (!k->env)
		return make_memory(k);
	if (libraries && asprintf(&k->env[k->n_env], "%s%s%s%s", name, libraries, old && old[len] ? ":" : "", old ? old + len : "") < 0) {
		k->env[k->n_env] = NULL;
		return make_memory(k);
	}
	return 0;
}

int ssi_unpack_make(struct ssi_unpack *u, size_t n_argv, const ProtobufCBinaryData *argv, size_t n_env, const ProtobufCBinaryData *env,
	struct ssi_unpacked *ret, struct ssi_err *e)
{
	struct make k = { .u = u, .e = e };
	struct ssi_unpacked x = { 0 };
	const char *path = NULL;
	int r;

	if (!n_argv)
		return ssi_errf(e, -EINVAL, "a program without arguments, not even its own name");
	r = make_libraries(&k);
	if (r >= 0)
		r = make_argv(&k, n_argv, argv);
	if (r >= 0)
		r = make_path(&k, &path);
	if (r >= 0)
		r = make_env(&k, n_env, env);
	x = (struct ssi_unpacked){ .path = path ? strdup(path) : NULL, .argv = k.argv, .env = k.env };
	if (r >= 0 && !x.path)
		r = make_memory(&k);
	if (r >= 0)
		r = unpack_trees(u, &x, e);
	if (r < 0) {
		ssi_unpacked_free(&x);
		return r;
	}
	*ret = x;
	return 0;
}

void ssi_unpacked_free(struct ssi_unpacked *x)
{
	for (size_t i = 0; x->argv && x->argv[i]; i++)
		free(x->argv[i]);
	for (size_t i = 0; x->env && x->env[i]; i++)
		free(x->env[i]);
	free(x->argv);
	for (size_t i = 0; i < x->n_layers; i++) {
		free(x->layers[i].target);
		free(x->layers[i].lower);
	}
	free(x->layers);
	free(x->env);
	free(x->path);
	*x = (struct ssi_unpacked){ 0 };
}
