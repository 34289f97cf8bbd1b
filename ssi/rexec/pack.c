/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns a program that is going to travel: what it is, and which files it is made of. Called by who starts jobs. */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "ssi/rexec/libs.h"
#include "ssi/rexec/pack-internal.h"
#include "ssi/rexec/platform.h"

extern char **environ;

/*
 * The interpreter of the ELF file p->elf, and its libraries. For another machine than this one they are not looked for, they would be the wrong ones: then
 * the node's own have to do, and the interpreter is a path without a digest.
 */
static int pack_dynamic(struct ssi_pack *p, struct ssi_err *e)
{
	const char *path = p->elf->elf.interpreter;
	struct pack_file *f;
	int r;

	p->program.machine = p->elf->elf.machine;
	p->program.x86_level = p->elf->elf.x86_level;
	if (!path)
		return 0;
	if (!ssi_platform_runs(p->own.machine, p->elf->elf.machine)) {
		f = ssi_arena_alloc(&p->arena, sizeof(*f));
		if (!f)
			return ssi_errf(e, -ENOMEM, "no memory for %s", path);
		ssi__job__file__init(&f->message);
		f->message.path = (char *)path;
		p->program.interpreter = &f->message;
		return 0;
	}
	r = pack_open(p, path, &f, e);
	if (r < 0)
		return ssi_err_prefix(e, "the interpreter of %s", p->elf->path);
	f->by = p->elf;
	r = ssi_elf_read(f->fd, f->path, &p->arena, &f->elf, e);
	if (r >= 0)
		r = pack_digest(p, f, e);
	p->program.interpreter = &f->message;
	return r < 0 ? r : pack_libs(p, e);
}

static int pack_elf(struct ssi_pack *p, struct pack_file *f, struct ssi_err *e)
{
	int r = ssi_elf_read(f->fd, f->path, &p->arena, &f->elf, e);

	if (r < 0)
		return r;
	p->elf = f;
	return pack_dynamic(p, e);
}

static int pack_interpreter(struct ssi_pack *p, const char *command, const char *arg, struct ssi_err *e)
{
	const char *path, *inner, *inner_arg;
	struct pack_file *f;
	int r = pack_find(p, command, &path, e);

	if (r >= 0)
		r = pack_open(p, path, &f, e);
	if (r >= 0)
		r = pack_script(p, f, &inner, &inner_arg, e);
	if (r > 0)
		return ssi_errf(e, -ENOEXEC, "%s: its interpreter %s is itself a script: name a program there", p->main->path, path);
	if (r >= 0)
		r = pack_digest(p, f, e);
	if (r >= 0)
		r = pack_elf(p, f, e);
	if (r < 0)
		return ssi_err_prefix(e, "%s", p->main->path);
	p->program.kind = SSI__JOB__PROGRAM__KIND__SCRIPT;
	p->program.script_interpreter = &f->message;
	if (arg && ssi_arena_push(&p->arena, &p->program.script_args, &p->program.n_script_args, arg) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for %s", path);
	return 0;
}

static int pack_build(struct ssi_pack *p, const char *command, struct ssi_err *e)
{
	const char *path, *interpreter, *arg;
	int r = pack_find(p, command, &path, e);

	if (r >= 0)
		r = pack_open(p, path, &p->main, e);
	if (r < 0)
		return r;
	p->program.main = &p->main->message;
	r = pack_script(p, p->main, &interpreter, &arg, e);
	if (r > 0)
		r = pack_interpreter(p, interpreter, arg, e);
	else if (r == 0)
		r = pack_elf(p, p->main, e);
	if (r >= 0)
		r = pack_trees(p, p->elf == p->main ? NULL : p->main, e);
	if (r >= 0 && p->program.kind != SSI__JOB__PROGRAM__KIND__SCRIPT)
		p->program.kind = p->elf->elf.interpreter ? SSI__JOB__PROGRAM__KIND__DYNAMIC : SSI__JOB__PROGRAM__KIND__STATIC;
	return r < 0 ? r : pack_digest(p, p->main, e);
}

int ssi_pack_new(const struct ssi_pack_ask *ask, struct ssi_pack **ret, struct ssi_err *e)
{
	struct ssi_pack *p = calloc(1, sizeof(*p));
	const char *slash;
	int r;

	if (!p)
		return ssi_errf(e, -ENOMEM, "no memory for a program");
	ssi__job__program__init(&p->program);
	p->env = ask->env ? ask->env : environ;
	p->many = ask->many;
	p->digests = ssi_digests_open(ask->digests);
	slash = ask->digests ? strrchr(ask->digests, '/') : NULL;
	if (slash)
		p->trees = ssi_arena_printf(&p->arena, "%.*s/trees", (int)(slash - ask->digests), ask->digests);
	uname(&p->own);
	r = pack_build(p, ask->command, e);
	p->env = NULL;
	if (r < 0) {
		ssi_pack_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void ssi_pack_free(struct ssi_pack *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_files; i++) {
		pack_piece_free(p->files[i]);
		close(p->files[i]->fd);
	}
	ssi_digests_close(p->digests);
	ssi_libs_free(p->folders);
	free(p->cache_text);
	ZSTD_freeCCtx(p->zstd);
	free(p->packed);
	ssi_arena_free(&p->arena);
	free(p);
}

Ssi__Job__Program *ssi_pack_program(const struct ssi_pack *p)
{
	return (Ssi__Job__Program *)&p->program;
}

uint64_t ssi_pack_size(const struct ssi_pack *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->n_files; i++)
		bytes += (uint64_t)p->files[i]->st.st_size;
	return bytes;
}

int ssi_pack_fits(const struct ssi_pack *p, const char *arch, unsigned x86_level, struct ssi_err *e)
{
	return ssi_platform_check(p->elf->path, p->elf->elf.machine, p->elf->elf.x86_level, "the node", arch, x86_level, e);
}

char *ssi_pack_digests_path(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *path = NULL;

	if (cache && cache[0] == '/')
		return asprintf(&path, "%s/ssi/digests", cache) < 0 ? NULL : path;
	return home && home[0] == '/' && asprintf(&path, "%s/.cache/ssi/digests", home) >= 0 ? path : NULL;
}
