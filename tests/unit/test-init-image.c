/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image fetched into memory: heads of answers, room, and whole transfers from servers that serve well, wrongly, or break off. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/hash.h"
#include "libssi/comm/sock.h"
#include "ssi-init/fetch.h"
#include "ssi-init/http.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define REQUEST "GET /image/x/root.erofs HTTP/1.1\r\nHost: 127.0.0.1:"
#define SIZE 1000000

static uint8_t image[SIZE];
static char image_sha256[SSI_HASH_HEX];

static void heads(void **state)
{
	static const struct { const char *text; int r; unsigned status; uint64_t length; } cases[] = {
		{ OK "Content-Length: 17\r\n\r\nbody", sizeof(OK "Content-Length: 17\r\n\r\n") - 1, 200, 17 },
		{ OK "Date: today\r\ncontent-length:17\r\nX: y\r\n\r\n", sizeof(OK "Date: today\r\ncontent-length:17\r\nX: y\r\n\r\n") - 1, 200, 17 },
		{ "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", sizeof("HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n") - 1, 404, 0 },
		{ OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", sizeof(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n") - 1, 200, 5 },
		{ "", -EAGAIN, 0, 0 }, { OK "Content-Length: 17\r\n", -EAGAIN, 0, 0 }, { OK "Content-Length: 17\r\n\r", -EAGAIN, 0, 0 },
		{ OK "\r\n", -EBADMSG, 0, 0 }, { "HTTP/1.1 200 OK\r\n\r\n", -EBADMSG, 0, 0 }, { "SSH-2.0-x\r\n\r\n", -EBADMSG, 0, 0 },
		{ "HTTP/2 200\r\nContent-Length: 1\r\n\r\n", -EBADMSG, 0, 0 }, { "HTTP/1.1 20\r\nContent-Length: 1\r\n\r\n", -EBADMSG, 0, 0 },
		{ "HTTP/1.1 2000\r\nContent-Length: 1\r\n\r\n", -EBADMSG, 0, 0 }, { "HTTP/1.1 \r\nContent-Length: 1\r\n\r\n", -EBADMSG, 0, 0 },
		{ OK "Content-Length: -1\r\n\r\n", -EBADMSG, 0, 0 }, { OK "Content-Length: 99999999999999999999\r\n\r\n", -EBADMSG, 0, 0 },
		{ OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", -EBADMSG, 0, 0 }, { OK "Content-Length: 5, 5\r\n\r\n", -EBADMSG, 0, 0 },
		{ OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", -EBADMSG, 0, 0 },
	};
	char many[HTTP_HEAD_MAX + 1];
	struct http_head h = { 77, 77 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct http_head got = h;

		assert_int_equal(http_parse_head(cases[i].text, strlen(cases[i].text), &got), cases[i].r);
		assert_int_equal(got.status, cases[i].r > 0 ? cases[i].status : 77);
		assert_int_equal(got.length, cases[i].r > 0 ? cases[i].length : 77);
	}
	assert_int_equal(http_parse_head(OK "Content-Length: 1\0\r\n\r\n", sizeof(OK "Content-Length: 1\0\r\n\r\n") - 1, &h), -EBADMSG);
	memset(many, 'x', sizeof(many));
	assert_int_equal(http_parse_head(many, HTTP_HEAD_MAX - 1, &h), -EAGAIN);
	assert_int_equal(http_parse_head(many, HTTP_HEAD_MAX, &h), -EBADMSG);
}

static void room(void **state)
{
	uint64_t available = 77;
	struct ssi_err e;

	assert_int_equal(fetch_available("MemTotal:  500 kB\nMemFree: 1 kB\nMemAvailable:     200704 kB\nBuffers: 2 kB\n", &available), 0);
	assert_int_equal(available, 196u << 20);
	assert_int_equal(fetch_available("MemTotal: 500 kB\n", &available), -ENODATA);
	assert_int_equal(fetch_room(196u << 20, 100u << 20, NULL), 0);
	assert_int_equal(fetch_room(196u << 20, (100u << 20) + 1, &e), -EFBIG);
	assert_non_null(strstr(e.text, "196.0 MiB free, the image takes 100.0 MiB and the node 96.0 MiB"));
	assert_int_equal(fetch_room(1u << 20, 1, NULL), -EFBIG);
	assert_int_equal(fetch_room(UINT64_MAX, INT64_MAX, NULL), 0);
	assert_int_equal(fetch_room(96u << 20, UINT64_MAX, NULL), -EFBIG);
}

/* What a server does with its one connection. */
struct serving { const char *head; size_t send; bool damaged, silent; };

static void serve(int listener, const struct serving *s)
{
	char request[512] = "";
	struct in_addr peer;
	size_t n = 0;
	int c;

	alarm(20);
	fcntl(listener, F_SETFL, 0);
	c = ssi_sock_accept(listener, &peer);
	fcntl(c, F_SETFL, 0);
	while (!strstr(request, "\r\n\r\n") && n < sizeof(request) - 1) {
		ssize_t got = read(c, request + n, sizeof(request) - 1 - n);

		if (got <= 0)
			_exit(1);
		n += (size_t)got;
	}
	if (strncmp(request, REQUEST, sizeof(REQUEST) - 1) != 0)
		_exit(2);
	if (s->damaged)
		image[SIZE / 2] ^= 1;
	(void)ssi_fd_write_all(c, s->head, strlen(s->head));
	(void)ssi_fd_write_all(c, image, s->send);
	if (s->silent)
		pause();
	_exit(0);
}

/* Fetch from it, as a boot whose arguments say size and digest. */
static int fetch_from(const struct serving *s, uint64_t size, const char *sha256, int *ret_fd, struct ssi_err *e)
{
	struct in_addr local = { .s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int listener = ssi_sock_listen(local, 0, e);
	struct ssi_bootargs a = { .root_size = size };
	struct sockaddr_in sa;
	socklen_t n = sizeof(sa);
	pid_t pid;
	int r;

	assert_true(listener >= 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &n), 0);
	snprintf(a.root, sizeof(a.root), "ram:http://127.0.0.1:%u/image/x/root.erofs", ntohs(sa.sin_port));
	snprintf(a.root_sha256, sizeof(a.root_sha256), "%s", sha256);
	pid = s ? fork() : 0;
	if (s && pid == 0)
		serve(listener, s);
	if (!s)
		close(TAKE_FD(listener));
	r = fetch_image(&a, ret_fd, e);
	if (s) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return r;
}

#define HEAD OK "Content-Length: 1000000\r\n\r\n"

static void fetched_whole(void **state)
{
	static const struct serving well = { HEAD, SIZE, false, false };
	_cleanup_free_ uint8_t *got = malloc(SIZE + 1);
	_cleanup_close_ int fd = -1;
	struct ssi_err e;

	assert_int_equal(fetch_from(&well, SIZE, image_sha256, &fd, &e), 0);
	assert_int_equal(pread(fd, got, SIZE + 1, 0), SIZE);
	assert_memory_equal(got, image, SIZE);
	/* What was checked stays what it is. */
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
}

static void fetched_wrongly(void **state)
{
	static const struct { struct serving s; int r; const char *says; } cases[] = {
		{ { HEAD, SIZE, true, false }, -EBADMSG, "it was damaged, on its way or on the master: its digest is " },
		{ { HEAD, SIZE / 2, false, false }, -ECONNRESET, "after 488.3 KiB of 976.6 KiB: the connection ended" },
		{ { OK "Content-Length: 999999\r\n\r\n", SIZE - 1, false, false }, -EBADMSG, "it has 999999 bytes and should have 1000000" },
		{ { "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0, false, false }, -ENOENT, " has no /image/x/root.erofs" },
		{ { "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 0, false, false }, -EPROTO, "status 503" },
		{ { "220 smtp ready\r\n\r\n", 0, false, false }, -EBADMSG, "does not answer as an HTTP server" },
		{ { "", 0, false, false }, -ECONNRESET, "Connection reset" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ssi_err e = { 0 };
		int fd = -1;

		assert_int_equal(fetch_from(&cases[i].s, SIZE, image_sha256, &fd, &e), cases[i].r);
		if (!strstr(e.text, cases[i].says))
			fail_msg("'%s' is not in '%s'", cases[i].says, e.text);
		assert_int_equal(fd, -1);
	}
}

static void fetched_from_nobody(void **state)
{
	struct ssi_err e;
	int fd = -1;

	assert_int_equal(fetch_from(NULL, SIZE, image_sha256, &fd, &e), -ECONNREFUSED);
	assert_int_equal(fd, -1);
}

/* Before anything is asked for: nobody listens. */
static void too_small(void **state)
{
	struct ssi_err e;
	int fd = -1;

	assert_int_equal(fetch_from(NULL, INT64_MAX, image_sha256, &fd, &e), -EFBIG);
	assert_non_null(strstr(e.text, "too small"));
}

static void a_server_that_falls_silent(void **state)
{
	static const struct serving silent = { HEAD, SIZE / 4, false, true };
	struct in_addr local = { .s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int listener = ssi_sock_listen(local, 0, NULL);
	struct sockaddr_in sa;
	socklen_t n = sizeof(sa);
	struct ssi_err e;
	struct http h;
	char buf[65536];
	size_t got = 0;
	ssize_t r;
	pid_t pid;

	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &n), 0);
	pid = fork();
	if (pid == 0)
		serve(listener, &silent);
	assert_int_equal(http_open(&h, local, ntohs(sa.sin_port), "/image/x/root.erofs", 1000, &e), 0);
	assert_int_equal(h.length, SIZE);
	while ((r = http_read(&h, buf, sizeof(buf), &e)) > 0)
		got += (size_t)r;
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(got, SIZE / 4);
	http_close(&h);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int make_image(void **state)
{
	struct ssi_hash *hash = ssi_hash_new();

	for (size_t i = 0; i < SIZE; i++)
		image[i] = (uint8_t)(i * 2654435761u >> 13);
	ssi_hash_add(hash, image, SIZE);
	ssi_hash_end(hash, image_sha256);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),
		cmocka_unit_test(room),
		cmocka_unit_test(fetched_whole),
		cmocka_unit_test(fetched_wrongly),
		cmocka_unit_test(fetched_from_nobody),
		cmocka_unit_test(too_small),
		cmocka_unit_test(a_server_that_falls_silent),
	};

	return cmocka_run_group_tests(tests, make_image, NULL);
}
