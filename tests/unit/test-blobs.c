/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi/rexec/blobs: what came is there under its digest and nothing else is; what is in use stays, the rest goes by age; killed writers leave nothing. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include "ssi/rexec/blobs.h"
#include "tests/unit/pack-fixture.h"

#define TB_SIZE 10000u

static char tb_data[TB_SIZE];

/* The blob of number i: its bytes in tb_data, its digest. */
static const uint8_t *tb_blob(unsigned i, char hex[SSI_HASH_HEX])
{
	static uint8_t digest[SSI_HASH_BYTES];
	struct ssi_hash *h = ssi_hash_new();

	for (size_t k = 0; k < TB_SIZE; k++)
		tb_data[k] = (char)(k * 7 + i);
	assert_non_null(h);
	ssi_hash_add(h, tb_data, TB_SIZE);
	ssi_hash_end(h, hex);
	assert_int_equal(ssi_hash_unhex(hex, digest, sizeof(digest)), 0);
	return digest;
}

static struct ssi_blobs *tb_open(const struct px *x, uint64_t limit)
{
	struct ssi_blobs *b = NULL;
	struct ssi_err e;

	if (ssi_blobs_open(px_path(x, "blobs"), limit, &b, &e) < 0)
		fail_msg("%s", e.text);
	mkdir(px_path(x, "one"), 0755);
	mkdir(px_path(x, "two"), 0755);
	return b;
}

static int tb_put(struct ssi_blobs *b, unsigned i, const char *dir, struct ssi_err *e)
{
	char hex[SSI_HASH_HEX];
	const uint8_t *digest = tb_blob(i, hex);
	struct ssi_blob_writer *w = NULL;
	int r = ssi_blobs_write(b, digest, TB_SIZE, &w, e);

	if (r < 0)
		return r;
	assert_int_equal(ssi_blob_add(w, 0, tb_data, 4000, e), 0);
	assert_int_equal(ssi_blob_have(w), 4000);
	assert_int_equal(ssi_blob_add(w, 4000, tb_data + 4000, TB_SIZE - 4000, e), 0);
	return ssi_blob_finish(w, dir, e);
}

static bool tb_has(struct ssi_blobs *b, unsigned i)
{
	char hex[SSI_HASH_HEX], path[256];

	tb_blob(i, hex);
	snprintf(path, sizeof(path), "%s/%s", ssi_blobs_path(b), hex);
	return access(path, R_OK | X_OK) == 0;
}

static void tb_unpin(const struct px *x, const char *dir, unsigned i)
{
	char hex[SSI_HASH_HEX], name[128];

	tb_blob(i, hex);
	snprintf(name, sizeof(name), "%s/%s", dir, hex);
	assert_int_equal(unlink(px_path(x, name)), 0);
}

static void tb_count(struct ssi_blobs *b, unsigned n)
{
	unsigned got;
	uint64_t bytes;

	assert_int_equal(ssi_blobs_count(b, &got, &bytes, NULL), 0);
	assert_int_equal(got, n);
	assert_int_equal(bytes, n * TB_SIZE);
}

static void what_came_is_there(void **state)
{
	struct px *x = *state;
	struct ssi_blobs *b = tb_open(x, 0);
	char hex[SSI_HASH_HEX];
	struct stat st;
	struct ssi_err e;

	assert_int_equal(stat(ssi_blobs_path(b), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(ssi_blobs_pin(b, tb_blob(1, hex), px_path(x, "one"), &e), 0);
	assert_int_equal(tb_put(b, 1, px_path(x, "one"), &e), 0);
	assert_true(tb_has(b, 1));
	assert_int_equal(ssi_blobs_pin(b, tb_blob(1, hex), px_path(x, "two"), &e), 1);
	assert_int_equal(ssi_blobs_pin(b, tb_blob(1, hex), px_path(x, "two"), &e), 1);
	/* A second one of the same kind is the first. */
	assert_int_equal(tb_put(b, 1, NULL, &e), 0);
	tb_count(b, 1);
	ssi_blobs_close(b);
}

static void what_is_wrong_is_refused(void **state)
{
	struct px *x = *state;
	struct ssi_blobs *b = tb_open(x, 0);
	struct ssi_blob_writer *w = NULL;
	char hex[SSI_HASH_HEX];
	const uint8_t *digest = tb_blob(1, hex);
	struct ssi_err e;

	assert_int_equal(ssi_blobs_write(b, digest, TB_SIZE, &w, &e), 0);
	assert_int_equal(ssi_blob_add(w, 5, tb_data, 10, &e), -EBADMSG);
	assert_int_equal(ssi_blob_add(w, 0, tb_data, TB_SIZE - 1, &e), 0);
	assert_int_equal(ssi_blob_add(w, TB_SIZE - 1, tb_data, 2, &e), -EBADMSG);
	assert_int_equal(ssi_blob_add(w, TB_SIZE - 1, "?", 1, &e), 0);
	assert_int_equal(ssi_blob_finish(w, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "not what its digest says"));
	assert_int_equal(ssi_blobs_write(b, digest, TB_SIZE, &w, &e), 0);
	ssi_blob_drop(w);
	assert_false(tb_has(b, 1));
	tb_count(b, 0);
	ssi_blobs_close(b);
}

/* Room for three: the one that was used before all others goes, and of those in use none. */
static void the_oldest_goes(void **state)
{
	struct px *x = *state;
	struct ssi_blobs *b = tb_open(x, 3 * TB_SIZE + 100);
	char hex[SSI_HASH_HEX];
	struct ssi_err e;

	assert_int_equal(tb_put(b, 1, NULL, &e), 0);
	assert_int_equal(tb_put(b, 2, NULL, &e), 0);
	assert_int_equal(tb_put(b, 3, NULL, &e), 0);
	/* Two are used, the first of them no more: but it was, later than the third. */
	for (unsigned i = 1; i <= 2; i++) {
		const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
		char name[128];

		assert_int_equal(ssi_blobs_pin(b, tb_blob(i, hex), px_path(x, "one"), &e), 1);
		snprintf(name, sizeof(name), "one/%s", hex);
		if (i == 2)
			assert_int_equal(utimensat(AT_FDCWD, px_path(x, name), old, 0), 0);
	}
	tb_unpin(x, "one", 1);
	assert_int_equal(tb_put(b, 4, px_path(x, "one"), &e), 0);
	assert_true(tb_has(b, 1) && tb_has(b, 2) && !tb_has(b, 3) && tb_has(b, 4));
	assert_int_equal(ssi_blobs_pin(b, tb_blob(1, hex), px_path(x, "one"), &e), 1);
	assert_int_equal(tb_put(b, 5, NULL, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "wait for one to end"));
	tb_count(b, 3);
	tb_unpin(x, "one", 2);
	assert_int_equal(tb_put(b, 5, NULL, &e), 0);
	assert_false(tb_has(b, 2));
	ssi_blobs_close(b);
	b = tb_open(x, TB_SIZE - 1);
	assert_int_equal(tb_put(b, 6, NULL, &e), -EFBIG);
	ssi_blobs_close(b);
}

/* Who says much and sends nothing holds a MiB; who sends holds as much again, and others' go only for what came. */
static void what_does_not_come_holds_little(void **state)
{
	struct px *x = *state;
	struct ssi_blobs *b = tb_open(x, 8u << 20);
	struct ssi_blob_writer *w[4] = { 0 };
	static char piece[1u << 20];
	char hex[SSI_HASH_HEX];
	struct ssi_err e;
	unsigned n;
	uint64_t bytes;

	assert_int_equal(tb_put(b, 1, NULL, &e), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ssi_blobs_write(b, tb_blob(10 + i, hex), i ? 4u << 20 : 8u << 20, &w[i], &e), 0);
	assert_int_equal(ssi_blobs_count(b, &n, &bytes, NULL), 0);
	assert_int_equal(bytes, (4u << 20) + TB_SIZE);
	assert_true(tb_has(b, 1));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ssi_blob_add(w[0], (uint64_t)i << 20, piece, sizeof(piece), &e), 0);
	assert_int_equal(ssi_blobs_count(b, &n, &bytes, NULL), 0);
	assert_int_equal(bytes, (4u << 20) + (3u << 20) + TB_SIZE);
	assert_true(tb_has(b, 1));
	assert_int_equal(ssi_blob_add(w[0], 4u << 20, piece, sizeof(piece), &e), -ENOSPC);
	assert_int_equal(ssi_blobs_write(b, tb_blob(20, hex), 4u << 20, &w[3], &e), -ENOSPC);
	for (unsigned i = 0; i < 4; i++)
		ssi_blob_drop(w[i]);
	assert_true(tb_has(b, 1));
	ssi_blobs_close(b);
}

/* A writer that is killed: its file goes with the next blob. One that lives counts, and stays. */
static void a_killed_writer_leaves_nothing(void **state)
{
	struct px *x = *state;
	struct ssi_blobs *b = tb_open(x, 2 * TB_SIZE);
	struct ssi_blob_writer *w = NULL;
	char hex[SSI_HASH_HEX];
	struct ssi_err e;
	int p[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct ssi_blobs *own = tb_open(x, 2 * TB_SIZE);

		if (ssi_blobs_write(own, tb_blob(1, hex), TB_SIZE, &w, NULL) < 0 || ssi_blob_add(w, 0, tb_data, 4000, NULL) < 0 || write(p[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(p[0], &byte, 1), 1);
	tb_count(b, 1);
	assert_int_equal(tb_put(b, 2, NULL, &e), 0);
	assert_int_equal(tb_put(b, 3, NULL, &e), 0);
	tb_count(b, 2);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	tb_count(b, 1);
	assert_true(tb_has(b, 3));
	close(p[0]);
	close(p[1]);
	ssi_blobs_close(b);
}

/* Four processes that write, use and push each other's out: none ever sees half a blob, none fails. */
static void many_at_once(void **state)
{
	struct px *x = *state;
	pid_t pids[4];
	int status;

	for (unsigned c = 0; c < 4; c++) {
		pids[c] = fork();
		if (pids[c])
			continue;
		struct ssi_blobs *b = tb_open(x, 6 * TB_SIZE);
		char dir[32], hex[SSI_HASH_HEX], got[SSI_HASH_HEX], name[128];

		snprintf(dir, sizeof(dir), "child%u", c);
		if (mkdir(px_path(x, dir), 0755) < 0)
			_exit(1);
		for (unsigned i = 0; i < 40; i++) {
			unsigned k = (i * 3 + c) % 8;
			int r = ssi_blobs_pin(b, tb_blob(k, hex), px_path(x, dir), NULL);

			if (r < 0 || (r == 0 && tb_put(b, k, px_path(x, dir), NULL) < 0))
				_exit(2);
			snprintf(name, sizeof(name), "blobs/%s", hex);
			if (ssi_hash_file(px_path(x, name), got) < 0 || strcmp(got, hex) != 0)
				_exit(3);
			snprintf(name, sizeof(name), "%s/%s", dir, hex);
			unlink(px_path(x, name));
		}
		ssi_blobs_close(b);
		_exit(0);
	}
	for (unsigned c = 0; c < 4; c++) {
		assert_int_equal(waitpid(pids[c], &status, 0), pids[c]);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_came_is_there, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_refused, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(the_oldest_goes, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(what_does_not_come_holds_little, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(a_killed_writer_leaves_nothing, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(many_at_once, px_setup, px_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
