/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi/rexec/unpack: programs that the node has not are packed, come in pieces, are unpacked, and run for real, as they would at home. */
#include <fcntl.h>
#include <sys/wait.h>
#include "libssi/base/buf.h"
#include "ssi/rexec/pack.h"
#include "ssi/rexec/unpack.h"
#include "tests/unit/pack-fixture.h"

/* What it prints: where it is, under what name, and its arguments. */
static const char tu_source[] =
	"#include <stdio.h>\n#include <unistd.h>\n#include <fcntl.h>\n"
	"int main(int n, char **v) { char c[64] = \"\"; int f = open(\"/proc/self/comm\", O_RDONLY); c[read(f, c, 63) - 1] = 0;\n"
	"printf(\"%s:\", c); for (int i = 0; i < n; i++) printf(\" [%s]\", v[i]); return 7; }\n";

struct tu {
	struct ssi_pack *pack;
	Ssi__Job__Program *program;
	struct ssi_blobs *blobs;
	struct ssi_unpack *unpack;
	struct ssi_unpacked x;
	size_t needed;
};

static void tu_begin(const struct px *x, struct tu *t, const char *command, char *const *env)
{
	struct ssi_pack_ask ask = { .command = command, .env = env };
	struct ssi_err e;

	memset(t, 0, sizeof(*t));
	if (ssi_pack_new(&ask, &t->pack, &e) < 0 || ssi_blobs_open(px_path(x, "blobs"), 0, &t->blobs, &e) < 0)
		fail_msg("%s: %s", command, e.text);
	t->program = ssi_pack_program(t->pack);
}

/* All the pieces that are needed; the very first one comes twice, as after a break. */
static void tu_send(struct tu *t)
{
	Ssi__Job__Need need;
	Ssi__Job__Blob b;
	struct ssi_err e;
	int r = 0;

	t->needed = ssi_unpack_need(t->unpack, &need);
	if (t->needed) {
		assert_true(ssi_pack_piece(t->pack, need.digests[0].data, 0, &b, &e) >= 0);
		r = ssi_unpack_piece(t->unpack, &b, &e);
		ssi_unpack_need(t->unpack, &need);
	}
	for (size_t i = 0; i < need.n_digests && r == 0; i++) {
		uint64_t at = 0;

		do {
			ssize_t n = ssi_pack_piece(t->pack, need.digests[i].data, at, &b, &e);

			assert_true(n >= 0);
			at += (uint64_t)n;
			r = ssi_unpack_piece(t->unpack, &b, &e);
			if (r < 0)
				fail_msg("%s", e.text);
		} while (at < b.size);
	}
	assert_int_equal(r, t->needed ? 1 : 0);
	assert_int_equal(ssi_unpack_need(t->unpack, &need), 0);
}

static void tu_make(const struct px *x, struct tu *t, const char *const *argv)
{
	ProtobufCBinaryData args[8], env[2] = { { 9, (uint8_t *)"PATH=/bin" }, { 26, (uint8_t *)"LD_LIBRARY_PATH=/elsewhere" } };
	struct ssi_err e;
	size_t n = 0;

	for (; argv[n]; n++)
		args[n] = (ProtobufCBinaryData){ strlen(argv[n]), (uint8_t *)argv[n] };
	ssi_path_rmtree(px_path(x, "job"));
	assert_int_equal(mkdir(px_path(x, "job"), 0700), 0);
	if (ssi_unpack_new(t->program, t->blobs, px_path(x, "job"), getuid(), getgid(), &t->unpack, &e) < 0)
		fail_msg("%s", e.text);
	tu_send(t);
	if (ssi_unpack_make(t->unpack, n, args, 2, env, &t->x, &e) < 0)
		fail_msg("%s", e.text);
}

static void tu_end(struct tu *t)
{
	ssi_unpacked_free(&t->x);
	ssi_unpack_free(t->unpack);
	ssi_pack_free(t->pack);
	ssi_blobs_close(t->blobs);
}

/* Executes it; its output, the caller's, and its wait status. */
static char *tu_run(const struct tu *t, int *ret_status)
{
	char *out = calloc(1, 4096);
	int p[2];
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		execve(t->x.path, t->x.argv, t->x.env);
		_exit(126);
	}
	close(p[1]);
	assert_true(ssi_fd_read_full(p[0], out, 4095) >= 0);
	close(p[0]);
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
	return out;
}

static void tu_check(const struct tu *t, const char *want)
{
	int status;
	_cleanup_free_ char *out = tu_run(t, &status);

	assert_string_equal(out, want);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static const char *tu_env(const struct tu *t, const char *name)
{
	for (char **v = t->x.env; *v; v++)
		if (!strncmp(*v, name, strlen(name)) && (*v)[strlen(name)] == '=')
			return *v + strlen(name) + 1;
	return NULL;
}

/* The node's libc is another one: its files are not where the message says. */
static void tu_no_libc(struct tu *t)
{
	t->program->interpreter->path = (char *)"/nowhere/ld-linux-x86-64.so.2";
	for (size_t i = 0; i < t->program->n_libraries; i++)
		if (strstr(t->program->libraries[i]->path, "libc.so"))
			t->program->libraries[i]->path = (char *)"/nowhere/libc.so.6";
}

static const char *const tu_argv[] = { "first", "se cond", "", NULL };
static char *const tu_path[] = { (char *)"PATH=/usr/bin:/bin", NULL };

static void a_static_one(void **state)
{
	struct px *x = *state;
	struct tu t;

	px_compile(x, tu_source, "-static -o hello-static");
	for (int turn = 0; turn < 2; turn++) {
		if (turn)
			assert_int_equal(rename(px_path(x, "aside"), px_path(x, "hello-static")), 0);
		tu_begin(x, &t, px_path(x, "hello-static"), tu_path);
		assert_int_equal(t.program->kind, SSI__JOB__PROGRAM__KIND__STATIC);
		assert_int_equal(rename(px_path(x, "hello-static"), px_path(x, "aside")), 0);
		tu_make(x, &t, tu_argv);
		/* The second time it is there. */
		assert_int_equal(t.needed, turn ? 0 : 1);
		tu_check(&t, "hello-static: [first] [se cond] []");
		assert_string_equal(tu_env(&t, "LD_LIBRARY_PATH"), "/elsewhere");
		tu_end(&t);
	}
}

static void the_nodes_own(void **state)
{
	struct px *x = *state;
	struct tu t;

	px_compile(x, tu_source, "-o hello");
	tu_begin(x, &t, px_path(x, "hello"), tu_path);
	tu_make(x, &t, tu_argv);
	assert_int_equal(t.needed, 0);
	assert_string_equal(t.x.path, px_path(x, "hello"));
	tu_check(&t, "hello: [first] [se cond] []");
	tu_end(&t);
}

/* What the node has counts for a user where he could open it himself: what opens it is root's, and he has only named it. */
static void the_nodes_own_for_a_user(void **state)
{
	struct px *x = *state;
	Ssi__Job__Need need;
	struct tu t;
	struct ssi_err e;

	if (getuid() != 0)
		skip();
	px_compile(x, tu_source, "-static -o hello");
	for (int open = 0; open < 2; open++) {
		assert_int_equal(chmod(x->dir, open ? 0755 : 0700), 0);
		tu_begin(x, &t, px_path(x, "hello"), tu_path);
		assert_int_equal(mkdir(px_path(x, open ? "job-open" : "job-closed"), 0700), 0);
		if (ssi_unpack_new(t.program, t.blobs, px_path(x, open ? "job-open" : "job-closed"), 65534, 65534, &t.unpack, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(ssi_unpack_need(t.unpack, &need), open ? 0 : 1);
		tu_end(&t);
	}
	/* Root as ever. */
	assert_int_equal(chmod(x->dir, 0700), 0);
	tu_begin(x, &t, px_path(x, "hello"), tu_path);
	tu_make(x, &t, tu_argv);
	assert_int_equal(t.needed, 0);
	tu_end(&t);
}

static void a_dynamic_one(void **state)
{
	struct px *x = *state;
	struct tu t;

	px_compile(x, tu_source, "-o hello");
	tu_begin(x, &t, px_path(x, "hello"), tu_path);
	assert_int_equal(unlink(px_path(x, "hello")), 0);
	tu_make(x, &t, tu_argv);
	assert_int_equal(t.needed, 1);
	tu_check(&t, "hello: [first] [se cond] []");
	assert_string_equal(tu_env(&t, "LD_LIBRARY_PATH"), "/elsewhere");
	tu_end(&t);
}

static void another_libc(void **state)
{
	struct px *x = *state;
	struct tu t;

	px_compile(x, tu_source, "-o hello");
	tu_begin(x, &t, px_path(x, "hello"), tu_path);
	assert_int_equal(unlink(px_path(x, "hello")), 0);
	tu_no_libc(&t);
	tu_make(x, &t, tu_argv);
	assert_int_equal(t.needed, 3);
	tu_check(&t, "hello: [first] [se cond] []");
	assert_string_equal(tu_env(&t, "LD_LIBRARY_PATH"), "/elsewhere");
	tu_end(&t);
}

/* A library of its own, which needs another: found by $ORIGIN at home, and here, with the node's libc and with its own. */
static void private_libraries(void **state)
{
	struct px *x = *state;
	struct tu t;

	for (int foreign = 0; foreign < 2; foreign++) {
		ssi_path_rmtree(px_path(x, "lib"));
		assert_int_equal(mkdir(px_path(x, "lib"), 0755), 0);
		px_compile(x, "int inner(void) { return 5; }", "-shared -fPIC -o lib/libinner.so.1 -Wl,-soname,libinner.so.1");
		px_compile(x, "int inner(void); int outer(void) { return inner() + 2; }",
			"-shared -fPIC -o lib/libouter.so -Wl,-soname,libouter.so -Wl,--no-as-needed lib/libinner.so.1 -Wl,-rpath,'$ORIGIN'");
		px_compile(x, "int outer(void); int main(void) { return outer(); }",
			"-o private -Llib -louter -Wl,--allow-shlib-undefined -Wl,-rpath,'$ORIGIN/lib'");
		tu_begin(x, &t, px_path(x, "private"), tu_path);
		assert_int_equal(t.program->n_libraries, 3);
		assert_int_equal(ssi_path_rmtree(px_path(x, "lib")), 0);
		assert_int_equal(unlink(px_path(x, "private")), 0);
		if (foreign)
			tu_no_libc(&t);
		tu_make(x, &t, tu_argv);
		tu_check(&t, "");
		tu_end(&t);
	}
}

static void scripts(void **state)
{
	struct px *x = *state;
	static const char direct[] = "#!/bin/bash -e\nread c </proc/$$/comm; echo -n \"$c: $1 $2 ${0##*/} $-\"; exit 7\n";
	static const char env[] = "#!/usr/bin/env bash\nread c </proc/$$/comm; echo -n \"$c: $1 $2 ${0##*/}\"; exit 7\n";
	static const char *const argv[] = { "./tool", "one", "two", NULL };
	struct tu t;

	for (int turn = 0; turn < 6; turn++) {
		bool by_env = turn % 2, foreign = turn / 2 == 1, own = turn / 2 == 2;

		px_write(x, "tool", 0755, by_env ? env : direct, strlen(by_env ? env : direct));
		tu_begin(x, &t, px_path(x, "tool"), tu_path);
		if (!own)
			assert_int_equal(unlink(px_path(x, "tool")), 0);
		if (foreign)
			tu_no_libc(&t);
		tu_make(x, &t, argv);
		if (foreign && !by_env)
			tu_check(&t, "tool: one two tool ehB");
		else
			tu_check(&t, by_env ? "bash: one two tool" : "tool: one two tool ehB");
		tu_end(&t);
	}
}

static void tu_bad(const struct px *x, struct tu *t, int want, const char *says)
{
	struct ssi_unpack *u = NULL;
	struct ssi_err e = { 0 };
	int r = ssi_unpack_new(t->program, t->blobs, px_path(x, "job"), getuid(), getgid(), &u, &e);

	if (r != want || !strstr(e.text, says))
		fail_msg("%d (%d is right): '%s' is to say '%s'", r, want, e.text, says);
}

static void what_cannot_be(void **state)
{
	struct px *x = *state;
	Ssi__Job__File *f;
	struct tu t;

	assert_int_equal(mkdir(px_path(x, "job"), 0700), 0);
	tu_begin(x, &t, "/bin/cat", tu_path);
	f = t.program->main;
	t.program->main = NULL;
	tu_bad(x, &t, -EBADMSG, "cannot be a program");
	t.program->main = f;
	f->path = (char *)"/bin/..";
	tu_bad(x, &t, -EBADMSG, "cannot be a program");
	f->path = (char *)"bin/cat";
	tu_bad(x, &t, -EBADMSG, "cannot be a program");
	f->path = (char *)"/bin/cat";
	f->digest.len = 31;
	tu_bad(x, &t, -EBADMSG, "cannot be a program");
	f->digest.len = SSI_HASH_BYTES;
	t.program->machine = 22;
	tu_bad(x, &t, -ENOEXEC, "/bin/cat is a program for s390x, and this node is");
	t.program->machine = 0x1003e;
	tu_bad(x, &t, -EBADMSG, "cannot be a program");
	tu_end(&t);
}

/* Pieces that nobody asked for, in the wrong place, of the wrong file, damaged; and the right ones afterwards. */
static void wrong_pieces(void **state)
{
	struct px *x = *state;
	static const char text[] = "#!/bin/sh\nexit 7\n";
	struct ssi_err e;
	Ssi__Job__Need need;
	Ssi__Job__Blob b;
	struct tu t;

	px_write(x, "tool", 0755, text, strlen(text));
	tu_begin(x, &t, px_path(x, "tool"), tu_path);
	assert_int_equal(unlink(px_path(x, "tool")), 0);
	assert_int_equal(mkdir(px_path(x, "job"), 0700), 0);
	assert_int_equal(ssi_unpack_new(t.program, t.blobs, px_path(x, "job"), getuid(), getgid(), &t.unpack, &e), 0);
	assert_int_equal(ssi_unpack_need(t.unpack, &need), 1);
	assert_true(ssi_pack_piece(t.pack, need.digests[0].data, 0, &b, &e) > 0);
	b.offset = 1;
	assert_int_equal(ssi_unpack_piece(t.unpack, &b, &e), -EBADMSG);
	b.offset = 0;
	b.size++;
	assert_int_equal(ssi_unpack_piece(t.unpack, &b, &e), -EBADMSG);
	b.size--;
	b.zstd = !b.zstd;
	b.data.data[0] ^= 1;
	assert_int_equal(ssi_unpack_piece(t.unpack, &b, &e), -EBADMSG);
	b.zstd = !b.zstd;
	assert_int_equal(ssi_unpack_piece(t.unpack, &b, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "tool"));
	assert_int_equal(ssi_unpack_need(t.unpack, &need), 1);
	b.data.data[0] ^= 1;
	assert_int_equal(ssi_unpack_piece(t.unpack, &b, &e), 1);
	assert_int_equal(ssi_unpack_piece(t.unpack, &b, &e), 0);
	b.digest.data = (uint8_t *)"01234567890123456789012345678901";
	assert_int_equal(ssi_unpack_piece(t.unpack, &b, &e), -EBADMSG);
	tu_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_static_one, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(the_nodes_own, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(the_nodes_own_for_a_user, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(a_dynamic_one, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(another_libc, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(private_libraries, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(scripts, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(wrong_pieces, px_setup, px_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
