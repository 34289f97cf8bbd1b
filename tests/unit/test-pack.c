/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi/rexec/pack: what a program is made of, where its files are found, what is refused, and that the pieces are the file. */
#include <elf.h>
#include <fcntl.h>
#include <sys/utsname.h>
#include <zstd.h>
#include "libssi/base/buf.h"
#include "libssi/base/num.h"
#include "ssi/rexec/digests.h"
#include "ssi/rexec/libs.h"
#include "ssi/rexec/pack.h"
#include "ssi/rexec/platform.h"
#include "tests/unit/pack-fixture.h"

static struct ssi_pack *tp_pack(const char *command, char *const *env)
{
	struct ssi_pack_ask ask = { .command = command, .env = env };
	struct ssi_pack *p = NULL;
	struct ssi_err e;

	if (ssi_pack_new(&ask, &p, &e) < 0)
		fail_msg("%s: %s", command, e.text);
	return p;
}

static void tp_refused(const char *command, char *const *env, int want, const char *says)
{
	struct ssi_pack_ask ask = { .command = command, .env = env };
	struct ssi_pack *p = NULL;
	struct ssi_err e = { 0 };
	int r = ssi_pack_new(&ask, &p, &e);

	if (r != want || !strstr(e.text, says))
		fail_msg("%s: %d (%d is right) '%s', which is to say '%s'", command, r, want, e.text, says);
}

static const Ssi__Job__File *tp_library(const struct ssi_pack *p, const char *name)
{
	const Ssi__Job__Program *m = ssi_pack_program(p);

	for (size_t i = 0; i < m->n_libraries; i++)
		if (!strcmp(strrchr(m->libraries[i]->path, '/') + 1, name))
			return m->libraries[i];
	return NULL;
}

static void a_program_of_the_system(void **state)
{
	char *env[] = { "PATH=/nowhere:/usr/sbin:/bin", NULL }, hex[SSI_HASH_HEX], want[SSI_HASH_HEX];
	struct ssi_pack *p = tp_pack("cat", env);
	const Ssi__Job__Program *m = ssi_pack_program(p);
	const Ssi__Job__File *libc = tp_library(p, "libc.so.6");
	struct utsname u;
	struct ssi_err e;

	assert_string_equal(m->main->path, "/bin/cat");
	assert_int_equal(m->kind, SSI__JOB__PROGRAM__KIND__DYNAMIC);
	assert_non_null(m->interpreter);
	assert_non_null(libc);
	ssi_hash_hex(libc->digest.data, libc->digest.len, hex);
	assert_int_equal(ssi_hash_file(libc->path, want), 0);
	assert_string_equal(hex, want);
	uname(&u);
	assert_int_equal(ssi_pack_fits(p, u.machine, 0, &e), 0);
	assert_int_equal(ssi_pack_fits(p, m->machine == EM_AARCH64 ? "x86_64" : "aarch64", 0, &e), -ENOEXEC);
	assert_non_null(strstr(e.text, "choose another node"));
	assert_true(ssi_pack_size(p) > m->main->size + libc->size);
	ssi_pack_free(p);
}

/* A library in a folder of the program's own, which asks for another one there by the program's RPATH. */
static void private_libraries(void **state)
{
	struct px *x = *state;
	char *none[] = { "PATH=/bin", NULL }, *given[2] = { NULL };
	_cleanup_free_ char *line = NULL;
	struct ssi_pack *p;

	assert_int_equal(mkdir(px_path(x, "lib"), 0755), 0);
	px_compile(x, "int inner(void) { return 40; }", "-shared -fPIC -o lib/libinner.so -Wl,-soname,libinner.so");
	px_compile(x, "int inner(void); int outer(void) { return inner() + 2; }",
		"-shared -fPIC -o lib/libouter.so -Wl,-soname,libouter.so -Llib -Wl,--no-as-needed -linner");
	px_compile(x, "int outer(void); int main(void) { return outer(); }",
		"-o rpath -Llib -louter -Wl,--allow-shlib-undefined -Wl,--disable-new-dtags,-rpath,'$ORIGIN/lib'");
	px_compile(x, "int outer(void); int main(void) { return outer(); }", "-o bare -Llib -louter -Wl,--allow-shlib-undefined");
	p = tp_pack(px_path(x, "rpath"), none);
	assert_string_equal(tp_library(p, "libouter.so")->path, px_path(x, "lib/libouter.so"));
	assert_string_equal(tp_library(p, "libinner.so")->path, px_path(x, "lib/libinner.so"));
	ssi_pack_free(p);
	tp_refused(px_path(x, "bare"), none, -ELIBACC, "libouter.so, which is nowhere to be found");
	assert_true(asprintf(&line, "LD_LIBRARY_PATH=/nowhere:%s", px_path(x, "lib")) > 0);
	given[0] = line;
	p = tp_pack(px_path(x, "bare"), given);
	assert_non_null(tp_library(p, "libinner.so"));
	ssi_pack_free(p);
}

static void scripts(void **state)
{
	struct px *x = *state;
	char *env[] = { "PATH=/usr/bin:/bin", NULL };
	const Ssi__Job__Program *m;
	struct ssi_pack *p;

	px_write(x, "plain", 0755, "#! /bin/sh  -eu \nexit 3\n", 24);
	p = tp_pack(px_path(x, "plain"), env);
	m = ssi_pack_program(p);
	assert_int_equal(m->kind, SSI__JOB__PROGRAM__KIND__SCRIPT);
	assert_string_equal(m->script_interpreter->path, "/bin/sh");
	assert_int_equal(m->n_script_args, 1);
	assert_string_equal(m->script_args[0], "-eu");
	assert_non_null(m->interpreter);
	ssi_pack_free(p);
	px_write(x, "env", 0755, "#!/usr/bin/env bash\nexit 3\n", 27);
	p = tp_pack(px_path(x, "env"), env);
	m = ssi_pack_program(p);
	assert_string_equal(m->script_interpreter->path, "/usr/bin/bash");
	assert_int_equal(m->n_script_args, 0);
	ssi_pack_free(p);
	px_write(x, "none", 0755, "exit 3\n", 7);
	p = tp_pack(px_path(x, "none"), env);
	assert_string_equal(ssi_pack_program(p)->script_interpreter->path, "/bin/sh");
	ssi_pack_free(p);
	px_write(x, "lost", 0755, "#!/no/such/thing\n", 17);
	tp_refused(px_path(x, "lost"), env, -ENOENT, "/no/such/thing");
	px_write(x, "nested", 0755, "#!/bin/sh\n", 10);
	char *text = px_path(x, "nested"), line[256];
	px_write(x, "outer", 0755, line, (size_t)snprintf(line, sizeof(line), "#!%s\n", text));
	tp_refused(px_path(x, "outer"), env, -ENOEXEC, "is itself a script");
}

static void refused(void **state)
{
	struct px *x = *state;
	char *env[] = { "PATH=/usr/bin:/bin", NULL };
	static const uint8_t stub[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	tp_refused("no-such-program", env, -ENOENT, "in your PATH");
	tp_refused("/no/such/program", env, -ENOENT, "there is no program");
	tp_refused("/", env, -EACCES, "is a folder");
	tp_refused("", env, -ENOENT, "empty");
	px_write(x, "data", 0644, "x", 1);
	tp_refused(px_path(x, "data"), env, -EACCES, "may not be executed");
	px_write(x, "nul", 0755, "a\0b", 3);
	tp_refused(px_path(x, "nul"), env, -ENOEXEC, "neither");
	px_write(x, "cut", 0755, (const char *)stub, sizeof(stub));
	tp_refused(px_path(x, "cut"), env, -ENOEXEC, "damaged");
}

/* A static program for another machine is packed, and refused for what it is; a dynamic one needs no library of this machine. */
static void other_machines(void **state)
{
	struct px *x = *state;
	char *env[] = { "PATH=/bin", NULL };
	_cleanup_free_ char *text = NULL;
	struct ssi_pack *p;
	struct ssi_err e;
	size_t n;

	assert_int_equal(ssi_file_read("/bin/cat", 16u << 20, &text, &n), 0);
	text[18] = (char)EM_S390;
	px_write(x, "foreign", 0755, text, n);
	p = tp_pack(px_path(x, "foreign"), env);
	assert_int_equal(ssi_pack_program(p)->n_libraries, 0);
	assert_int_equal(ssi_pack_program(p)->interpreter->digest.len, 0);
	assert_int_equal(ssi_pack_fits(p, "x86_64", 0, &e), -ENOEXEC);
	assert_non_null(strstr(e.text, "is a program for s390x, and the node is x86_64"));
	assert_int_equal(ssi_pack_fits(p, "s390x", 0, &e), 0);
	ssi_pack_free(p);
	assert_int_equal(ssi_platform_check("a", EM_X86_64, 3, "n01", "x86_64", 2, &e), -ENOEXEC);
	assert_non_null(strstr(e.text, "x86-64-v3"));
	assert_int_equal(ssi_platform_check("a", EM_X86_64, 3, "n01", "x86_64", 3, &e), 0);
	assert_int_equal(ssi_platform_check("a", EM_X86_64, 3, "n01", "x86_64", 0, &e), 0);
	assert_int_equal(ssi_platform_check("a", EM_386, 0, "n01", "x86_64", 1, &e), 0);
}

static void tp_pieces(struct ssi_pack *p, const Ssi__Job__File *f, struct ssi_buf *to, uint64_t *ret_sent)
{
	Ssi__Job__Blob b;
	struct ssi_err e;

	for (uint64_t at = 0; at == 0 || at < f->size;) {
		ssize_t n = ssi_pack_piece(p, f->digest.data, at, &b, &e);
		char *room = ssi_buf_reserve(to, SSI_PACK_PIECE);

		assert_true(n >= 0);
		assert_int_equal(b.offset, at);
		assert_int_equal(b.size, f->size);
		*ret_sent += b.data.len;
		if (b.zstd)
			assert_int_equal(ZSTD_decompress(room, SSI_PACK_PIECE, b.data.data, b.data.len), n);
		else
			memcpy(room, b.data.data, b.data.len);
		to->len += (size_t)n;
		at += (uint64_t)n;
		if (!f->size)
			break;
	}
}

static void pieces_are_the_file(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t n;

	for (int many = 0; many < 2; many++) {
		struct ssi_pack_ask ask = { .command = "/bin/bash", .many = many };
		struct ssi_pack *p;

		assert_int_equal(ssi_pack_new(&ask, &p, NULL), 0);
		free(text);
		assert_int_equal(ssi_file_read("/bin/bash", 64u << 20, &text, &n), 0);
		for (int turn = 0; turn < 2; turn++) {
			_cleanup_buf_ struct ssi_buf got = SSI_BUF_INIT;
			uint64_t sent = 0;

			tp_pieces(p, ssi_pack_program(p)->main, &got, &sent);
			assert_int_equal(got.len, n);
			assert_memory_equal(got.data, text, n);
			assert_true(sent < n * 3 / 4);
		}
		ssi_pack_free(p);
	}
}

static void files_that_change_or_vanish(void **state)
{
	struct px *x = *state;
	_cleanup_buf_ struct ssi_buf big = SSI_BUF_INIT, got = SSI_BUF_INIT;
	uint8_t none[SSI_HASH_BYTES] = { 1 };
	uint64_t sent = 0;
	struct ssi_pack *p;
	struct ssi_err e;
	Ssi__Job__Blob b;

	ssi_buf_adds(&big, "#!/bin/sh\nexit 0\n");
	while (big.len < 3 * SSI_PACK_PIECE)
		ssi_buf_addf(&big, "# line at %zu\n", big.len);
	px_write(x, "script", 0755, big.data, big.len);
	p = tp_pack(px_path(x, "script"), NULL);
	assert_int_equal(unlink(px_path(x, "script")), 0);
	tp_pieces(p, ssi_pack_program(p)->main, &got, &sent);
	assert_int_equal(got.len, big.len);
	assert_int_equal(ssi_pack_piece(p, none, 0, &b, &e), -ENOENT);
	assert_int_equal(ssi_pack_piece(p, ssi_pack_program(p)->main->digest.data, 1, &b, &e), -EINVAL);
	ssi_pack_free(p);
	px_write(x, "script", 0755, big.data, big.len);
	p = tp_pack(px_path(x, "script"), NULL);
	assert_true(ssi_pack_piece(p, ssi_pack_program(p)->main->digest.data, 0, &b, &e) > 0);
	assert_int_equal(truncate(px_path(x, "script"), SSI_PACK_PIECE + 5), 0);
	assert_int_equal(ssi_pack_piece(p, ssi_pack_program(p)->main->digest.data, SSI_PACK_PIECE, &b, &e), -ESTALE);
	assert_non_null(strstr(e.text, "was changed while it was sent"));
	ssi_pack_free(p);
}

/* What is remembered is for the very same file; a young one, and another's list, are not. */
static void digests_are_remembered(void **state)
{
	struct px *x = *state;
	uint8_t first[SSI_HASH_BYTES], again[SSI_HASH_BYTES];
	_cleanup_close_ int fd = open("/bin/cat", O_RDONLY | O_CLOEXEC), other = open("/bin/ls", O_RDONLY | O_CLOEXEC);
	struct ssi_digests *d = ssi_digests_open(px_path(x, "a/b/digests"));
	struct stat st, gone;

	assert_non_null(d);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ssi_digests_of(d, fd, &st, first), 0);
	ssi_digests_close(d);
	d = ssi_digests_open(px_path(x, "a/b/digests"));
	/* From the list: it is not read, or this one's would be another. */
	assert_int_equal(ssi_digests_of(d, other, &st, again), 0);
	assert_memory_equal(first, again, sizeof(first));
	gone = st;
	gone.st_mtim.tv_nsec ^= 1;
	assert_int_equal(ssi_digests_of(d, fd, &gone, again), -ESTALE);
	ssi_digests_close(d);
	assert_int_equal(chmod(px_path(x, "a/b/digests"), 0666), 0);
	assert_null(ssi_digests_open(px_path(x, "a/b/digests")));
}

static void libraries_of_libc(void **state)
{
	(void)state;
	assert_true(ssi_libs_is_libc("libc.so.6") && ssi_libs_is_libc("ld-linux-x86-64.so.2") && ssi_libs_is_libc("libnsl.so.1"));
	assert_false(ssi_libs_is_libc("libnsl.so.2"));          /* libnsl2, which Python's nis wants */
	assert_false(ssi_libs_is_libc("libcrypt.so.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_of_the_system),
		cmocka_unit_test_setup_teardown(private_libraries, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(scripts, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(refused, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(other_machines, px_setup, px_teardown),
		cmocka_unit_test(pieces_are_the_file),
		cmocka_unit_test(libraries_of_libc),
		cmocka_unit_test_setup_teardown(files_that_change_or_vanish, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(digests_are_remembered, px_setup, px_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
