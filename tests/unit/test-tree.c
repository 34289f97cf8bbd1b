/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi/rexec/tree: what was packed is unpacked the same; what is no tree, reaches elsewhere or is too large is refused. In blobs: once, bounded, by age. */
#include <fcntl.h>
#include <unistd.h>
#include "ssi/rexec/blobs.h"
#include "ssi/rexec/tree.h"
#include "tests/unit/pack-fixture.h"

#define TT_TIME 1600000000

struct tt_entry { enum ssi_tree_type type; const char *path, *bytes; };

/* The file DIR/name: these entries as a tree. */
static int tt_write(const struct px *x, const char *name, const struct tt_entry *t)
{
	int fd = open(px_path(x, name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct ssi_tree_writer *w;

	assert_true(fd >= 0);
	assert_int_equal(ssi_tree_write(fd, &w, NULL), 0);
	for (; t->path; t++) {
		assert_int_equal(ssi_tree_entry(w, t->type, t->path, t->bytes ? strlen(t->bytes) : 0, TT_TIME, NULL), 0);
		if (t->bytes)
			assert_int_equal(ssi_tree_bytes(w, t->bytes, strlen(t->bytes), NULL), 0);
	}
	assert_int_equal(ssi_tree_end(w, NULL), 0);
	return fd;
}

/* Into an empty DIR/out. */
static int tt_unpack(const struct px *x, int fd, uint32_t entries, uint64_t cost, struct ssi_err *e)
{
	int dir, r;

	assert_int_equal(ssi_path_rmtree(px_path(x, "out")), 0);
	assert_int_equal(mkdir(px_path(x, "out"), 0700), 0);
	dir = open(px_path(x, "out"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = ssi_tree_unpack(fd, dir, entries, cost, e);
	close(dir);
	return r;
}

static const struct tt_entry tt_good[] = {
	{ SSI_TREE_FOLDER, "usr", NULL }, { SSI_TREE_FOLDER, "usr/lib", NULL }, { SSI_TREE_FILE, "usr/lib/a.py", "print(1)\n" },
	{ SSI_TREE_PROGRAM, "usr/lib/b", "#!/bin/sh\n" }, { SSI_TREE_FILE, "usr/lib/empty", NULL }, { SSI_TREE_LINK, "usr/lib/c.py", "a.py" },
	{ SSI_TREE_LINK, "away", "/etc" }, { SSI_TREE_END, NULL, NULL },
};

static void as_it_was(void **state)
{
	const struct px *x = *state;
	int fd = tt_write(x, "t", tt_good);
	_cleanup_free_ char *text = NULL;
	char link[64] = "";
	struct stat st;

	assert_int_equal(tt_unpack(x, fd, 7, 64u << 10, NULL), 0);
	assert_int_equal(ssi_file_read(px_path(x, "out/usr/lib/c.py"), 100, &text, NULL), 0);
	assert_string_equal(text, "print(1)\n");
	assert_int_equal(stat(px_path(x, "out/usr/lib/a.py"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	assert_int_equal(st.st_mtime, TT_TIME);
	assert_int_equal(stat(px_path(x, "out/usr/lib/b"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0555);
	assert_int_equal(stat(px_path(x, "out/usr/lib"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	assert_int_equal(stat(px_path(x, "out/usr/lib/empty"), &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(readlink(px_path(x, "out/away"), link, sizeof(link) - 1), 4);
	assert_string_equal(link, "/etc");
	/* One entry less than there are, and less room. */
	assert_int_equal(tt_unpack(x, fd, 6, 64u << 10, NULL), -EBADMSG);
	assert_int_equal(tt_unpack(x, fd, 7, 8u << 10, NULL), -EBADMSG);
	close(fd);
}

/* Byte by byte it is the same. */
static void in_any_pieces(void **state)
{
	const struct px *x = *state;
	static const uint8_t bytes[] = "ssitree1\2\0\1\0\0\0\0\0\3\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0aabc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	_cleanup_free_ char *text = NULL;
	struct ssi_tree_reader *r;
	int dir;

	assert_int_equal(mkdir(px_path(x, "out"), 0700), 0);
	dir = open(px_path(x, "out"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ssi_tree_read(dir, 1, 8192, &r, NULL), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(ssi_tree_feed(r, bytes + i, 1, NULL), 0);
	assert_int_equal(ssi_tree_feed(r, bytes, 1, NULL), -EBADMSG);
	assert_int_equal(ssi_tree_read_end(r, NULL), 0);
	assert_int_equal(ssi_file_read(px_path(x, "out/a"), 100, &text, NULL), 0);
	assert_string_equal(text, "abc");
	close(dir);
}

static void what_reaches_elsewhere(void **state)
{
	const struct px *x = *state;
	static const struct tt_entry bad[][4] = {
		{ { SSI_TREE_FILE, "../out-there", "x" } }, { { SSI_TREE_FILE, "/tmp/ssi-out-there", "x" } }, { { SSI_TREE_FILE, "a//b", "x" } },
		{ { SSI_TREE_FILE, "./a", "x" } }, { { SSI_TREE_FILE, "a/", "x" } }, { { SSI_TREE_FOLDER, "a", "x" } }, { { SSI_TREE_LINK, "a", NULL } },
		{ { SSI_TREE_FILE, "a/b", "x" } },                                   /* no folder a */
		{ { SSI_TREE_LINK, "a", "/tmp" }, { SSI_TREE_FILE, "a/ssi-out-there", "x" } },
		{ { SSI_TREE_LINK, "a", ".." }, { SSI_TREE_FILE, "a/out-there", "x" } },
		{ { SSI_TREE_LINK, "a", "../out-there" }, { SSI_TREE_FILE, "a", "x" } },
		{ { SSI_TREE_FILE, "a", "x" }, { SSI_TREE_FILE, "a", "x" } }, { { SSI_TREE_FILE, "a", "x" }, { SSI_TREE_FOLDER, "a", NULL } },
		{ { SSI_TREE_FILE, "a", "x" }, { SSI_TREE_FILE, "a/b", "x" } }, { { (enum ssi_tree_type)5, "a", "x" } },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int fd = tt_write(x, "t", bad[i]);

		if (tt_unpack(x, fd, 10, 64u << 10, NULL) != -EBADMSG)
			fail_msg("%zu: %s", i, bad[i][0].path);
		close(fd);
		assert_int_equal(access(px_path(x, "out-there"), F_OK), -1);
		assert_int_equal(access("/tmp/ssi-out-there", F_OK), -1);
	}
}

static void what_is_none(void **state)
{
	const struct px *x = *state;
	int fd = tt_write(x, "t", tt_good);
	off_t size = lseek(fd, 0, SEEK_END);

	assert_int_equal(ssi_fd_write_all(fd, "more", 4), 0);
	assert_int_equal(tt_unpack(x, fd, 7, 64u << 10, NULL), -EBADMSG);
	assert_int_equal(ftruncate(fd, size - 1), 0);
	assert_int_equal(tt_unpack(x, fd, 7, 64u << 10, NULL), -EBADMSG);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(tt_unpack(x, fd, 7, 64u << 10, NULL), -EBADMSG);
	close(fd);
}

/* As a blob of that name and pinned in DIR/pin. */
static void tt_blob(const struct px *x, struct ssi_blobs *b, const struct tt_entry *t, const char *pin, uint8_t digest[SSI_HASH_BYTES])
{
	_cleanup_free_ char *text = NULL;
	struct ssi_blob_writer *w;
	char hex[SSI_HASH_HEX];
	struct ssi_err e;
	size_t n;

	close(tt_write(x, "t", t));
	assert_int_equal(ssi_file_read(px_path(x, "t"), 1u << 20, &text, &n), 0);
	assert_int_equal(ssi_hash_file(px_path(x, "t"), hex), 0);
	assert_int_equal(ssi_hash_unhex(hex, digest, SSI_HASH_BYTES), 0);
	mkdir(px_path(x, pin), 0700);
	if (ssi_blobs_write(b, digest, n, &w, &e) < 0 || ssi_blob_add(w, 0, text, n, &e) < 0 || ssi_blob_finish(w, px_path(x, pin), &e) < 0)
		fail_msg("%s", e.text);
}

static void in_blobs(void **state)
{
	const struct px *x = *state;
	static const struct tt_entry other[] = { { SSI_TREE_FILE, "a", "one" }, { SSI_TREE_END, NULL, NULL } };
	struct ssi_blobs *b;
	char *one = NULL, *two = NULL, *again = NULL;
	uint8_t first[SSI_HASH_BYTES], second[SSI_HASH_BYTES];
	struct ssi_err e;

	assert_int_equal(ssi_blobs_open(px_path(x, "blobs"), 100u << 10, &b, &e), 0);
	tt_blob(x, b, tt_good, "pin1", first);
	assert_int_equal(ssi_blobs_tree(b, first, 7, 60u << 10, &one, &e), 0);
	/* A second time it is there, the same one: what was unpacked is not again. */
	assert_int_equal(chmod(one, 0700), 0);
	assert_int_equal(ssi_blobs_tree(b, first, 7, 60u << 10, &again, &e), 0);
	assert_string_equal(one, again);
	free(again);
	/* One that is larger than it says is none, and nothing of it stays. */
	assert_int_equal(ssi_blobs_tree(b, first, 7, 5u << 10, &again, &e), -EBADMSG);
	/* No room for another while the first is in use; afterwards it goes. */
	tt_blob(x, b, other, "pin2", second);
	assert_int_equal(ssi_blobs_tree(b, second, 7, 60u << 10, &two, &e), -ENOSPC);
	assert_int_equal(access(one, F_OK), 0);
	assert_int_equal(ssi_path_rmtree(px_path(x, "pin1")), 0);
	assert_int_equal(ssi_blobs_tree(b, second, 7, 60u << 10, &two, &e), 0);
	assert_int_equal(access(one, F_OK), -1);
	assert_int_equal(access(two, F_OK), 0);
	free(one);
	free(two);
	ssi_blobs_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_it_was, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(in_any_pieces, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(what_reaches_elsewhere, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(what_is_none, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(in_blobs, px_setup, px_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
