/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: requests against the table, and a real server (in a thread, with its own loop) with real clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "libssi/base/cleanup.h"
#include "libssi/comm/control-server.h"

#define EVENTS 20000

static char dir[] = "/tmp/ssi-control-XXXXXX", path[128];
static pthread_t thread;
static pthread_barrier_t ready;
static int gone_count, dropped;

/* The daemon's side: "status" counts who went away, "reload" fails, "node.power" half works, "events" streams, "exec" floods, "stop" ends. */

static int on_status(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	ssi_control_ok(q, json_pack("{s:i, s:i, s:i}", "gone", gone_count, "dropped", dropped, "uid", (int)ssi_control_uid(q)));
	return 0;
}

static int on_reload(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct ssi_err why;

	ssi_errf(&why, -EINVAL, "2 mistakes \xff");
	ssi_control_fail(q, &why, json_pack("[s, s]", "a.ini:1: x", "a.ini:2: y"), NULL);
	return 0;
}

static int on_power(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	if (strcmp(ssi_json_str(args, "action"), "cycle") == 0)
		return ssi_errf(e, -EBUSY, "busy");
	ssi_control_partial(q, json_pack("[{s:s}]", "name", "n01"), 1);
	return 0;
}

struct stream { int next; };

static void stream_on(struct ssi_control_request *q, void *userdata)
{
	struct stream *s = userdata;

	while (s->next < EVENTS)
		if (ssi_control_event(q, json_pack("{s:i}", "id", s->next++)) > 0)
			return;
	ssi_control_ok(q, NULL);
	free(s);
}

static void stream_gone(struct ssi_control_request *q, void *userdata)
{
	gone_count++;
	free(userdata);
}

static int on_events(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct stream *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	ssi_control_watch(q, stream_on, stream_gone, s);
	if (json_is_true(json_object_get(args, "follow")))
		ssi_control_event(q, json_object());         /* one, and then nothing for ever */
	else
		stream_on(q, s);
	return 0;
}

static int on_exec(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	static char text[65536];

	memset(text, 'x', sizeof(text) - 1);
	ssi_control_watch(q, NULL, stream_gone, NULL);
	while (ssi_control_event(q, json_pack("{s:s}", "data", text)) >= 0)
		;
	dropped++;
	return 0;
}

static int on_stop(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	ssi_control_ok(q, NULL);
	return sd_event_exit(userdata, 0) < 0 ? -EIO : 0;
}

static void *serve(void *arg)
{
	struct ssi_control_server *s = NULL, *second = NULL;
	sd_event *event = NULL;
	struct ssi_err e;

	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(ssi_control_listen(event, path, &s, &e), 0);
	assert_int_equal(ssi_control_listen(event, path, &second, &e), -EADDRINUSE);
	assert_int_equal(ssi_control_register(s, "status", on_status, NULL), 0);
	assert_int_equal(ssi_control_register(s, "status", on_status, NULL), -EEXIST);
	assert_int_equal(ssi_control_register(s, "nonsense", on_status, NULL), -ENOENT);
	assert_int_equal(ssi_control_register(s, "reload", on_reload, NULL), 0);
	assert_int_equal(ssi_control_register(s, "node.power", on_power, NULL), 0);
	assert_int_equal(ssi_control_register(s, "events", on_events, NULL), 0);
	assert_int_equal(ssi_control_register(s, "exec", on_exec, NULL), 0);
	assert_int_equal(ssi_control_register(s, "stop", on_stop, event), 0);
	pthread_barrier_wait(&ready);
	sd_event_loop(event);
	ssi_control_server_free(s);
	sd_event_unref(event);
	return NULL;
}

/* A socket that a killed daemon left: the server must take its place. */
static void leave_stale_socket(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	leave_stale_socket();
	pthread_barrier_init(&ready, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	pthread_barrier_wait(&ready);
	return 0;
}

static int call(const char *verb, json_t *args, json_t **ret, struct ssi_err *e)
{
	return ssi_control_ask(path, verb, args, 10000, ret, e);
}

static int teardown(void **state)
{
	_cleanup_json_ json_t *answer = NULL;
	struct ssi_err e;

	assert_int_equal(call("stop", NULL, &answer, &e), 0);
	pthread_join(thread, NULL);
	assert_int_equal(access(path, F_OK), -1);
	rmdir(dir);
	return 0;
}

static void parse_good(void **state)
{
	static const char *const good[] = {
		"{\"verb\":\"status\"}", "{\"verb\":\"status\",\"args\":{}}\n", "{\"verb\":\"node.list\",\"args\":{\"range\":\"n[01-03]\"}}",
		"{\"verb\":\"node.set\",\"args\":{\"range\":\"n01\",\"set\":{\"machine\":\"\"}}}",
		"{\"verb\":\"exec\",\"args\":{\"range\":\"n01\",\"argv\":[\"true\"]}}",
		"{\"verb\":\"events\",\"args\":{\"follow\":true,\"since\":0,\"limit\":9,\"node\":\"n01\"}}",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		const struct ssi_control_spec *spec = NULL;
		_cleanup_json_ json_t *args = NULL;
		struct ssi_err e = { 0 };

		assert_int_equal(ssi_control_parse(good[i], strlen(good[i]), &spec, &args, &e), 0);
		assert_non_null(spec);
		assert_true(json_is_object(args));
	}
}

static void parse_bad(void **state)
{
	static const struct { const char *line; int r; const char *text; } bad[] = {
		{ "", -EBADMSG, "not a request" },
		{ "[]", -EBADMSG, "not a request" },
		{ "{\"verb\":7}", -EBADMSG, "no \"verb\"" },
		{ "{\"verb\":\"status\"} x", -EBADMSG, "not a request" },
		{ "{\"verb\":\"status\",\"verb\":\"stop\"}", -EBADMSG, "not a request" },
		{ "{\"verb\":\"status\",\"args\":[]}", -EBADMSG, "must be an object" },
		{ "{\"verb\":\"reboot\"}", -EOPNOTSUPP, "no verb 'reboot'" },
		{ "{\"verb\":\"status\",\"args\":{\"x\":1}}", -EINVAL, "takes no argument 'x'" },
		{ "{\"verb\":\"node.show\"}", -EINVAL, "needs 'range'" },
		{ "{\"verb\":\"node.show\",\"args\":{\"range\":[]}}", -EINVAL, "must be a string" },
		{ "{\"verb\":\"node.show\",\"args\":{\"range\":\"a\\u0000b\"}}", -EBADMSG, "not a request" },
		{ "{\"verb\":\"exec\",\"args\":{\"range\":\"n01\",\"argv\":[]}}", -EINVAL, "not empty" },
		{ "{\"verb\":\"exec\",\"args\":{\"range\":\"n01\",\"argv\":[1]}}", -EINVAL, "list of strings" },
		{ "{\"verb\":\"node.set\",\"args\":{\"range\":\"n01\",\"set\":{}}}", -EINVAL, "not empty" },
		{ "{\"verb\":\"node.set\",\"args\":{\"range\":\"n01\",\"set\":{\"a\":[]}}}", -EINVAL, "object of strings" },
		{ "{\"verb\":\"events\",\"args\":{\"since\":-1}}", -EINVAL, "not negative" },
		{ "{\"verb\":\"events\",\"args\":{\"since\":1.5}}", -EINVAL, "number" },
		{ "{\"verb\":\"events\",\"args\":{\"follow\":1}}", -EINVAL, "true or false" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct ssi_control_spec *spec = NULL;
		json_t *args = NULL;
		struct ssi_err e = { 0 };

		assert_int_equal(ssi_control_parse(bad[i].line, strlen(bad[i].line), &spec, &args, &e), bad[i].r);
		assert_non_null(strstr(e.text, bad[i].text));
		assert_null(spec);
		assert_null(args);
	}
}

static void text_of_any_bytes(void **state)
{
	_cleanup_json_ json_t *a = ssi_control_text("n01: é\xff\xc3("), *b = ssi_control_text("plain"), *c = ssi_control_text("\xe0\x80\x80");

	assert_string_equal(json_string_value(a), "n01: é\xef\xbf\xbd\xef\xbf\xbd(");
	assert_string_equal(json_string_value(b), "plain");
	assert_string_equal(json_string_value(c), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void answers(void **state)
{
	_cleanup_json_ json_t *ok = NULL, *bad = NULL, *half = NULL, *busy = NULL, *none = NULL;
	struct ssi_err e = { 0 };
	struct stat st;

	assert_int_equal(call("status", NULL, &ok, &e), 0);
	assert_int_equal(ssi_json_int(json_object_get(ok, "data"), "uid"), getuid());
	assert_int_equal(call("reload", NULL, &bad, &e), 1);
	assert_string_equal(e.text, "2 mistakes \xef\xbf\xbd");
	assert_int_equal(json_array_size(json_object_get(bad, "errors")), 2);
	assert_int_equal(call("node.power", json_pack("{s:s, s:s}", "range", "n01", "action", "on"), &half, &e), 0);
	assert_int_equal(ssi_json_int(half, "failed"), 1);
	assert_int_equal(call("node.power", json_pack("{s:s, s:s}", "range", "n01", "action", "cycle"), &busy, &e), 1);
	assert_string_equal(e.text, "busy");
	assert_int_equal(call("machine.list", NULL, &none, &e), 1);
	assert_non_null(strstr(e.text, "no verb"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

static int count_event(const json_t *event, void *userdata)
{
	int *next = userdata;

	assert_int_equal(ssi_json_int(event, "id"), *next);
	++*next;
	return 0;
}

/* More than the queue holds: the handler pauses and goes on, nothing is lost, and others are served meanwhile. */
static void streams(void **state)
{
	_cleanup_control_ struct ssi_control *c = NULL;
	_cleanup_json_ json_t *answer = NULL, *other = NULL;
	struct ssi_err e;
	int next = 0;

	assert_int_equal(ssi_control_open(path, &c, &e), 0);
	assert_int_equal(ssi_control_call(c, "events", NULL, 10000, count_event, &next, &answer, &e), 0);
	assert_int_equal(next, EVENTS);
	assert_int_equal(ssi_control_call(c, "status", NULL, 10000, NULL, NULL, &other, &e), 0);
}

static int raw_connect(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* All there is until the other end closes, or as much as fits. */
static size_t raw_read(int fd, char *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n = 1;

	while (len < size - 1 && n > 0) {
		assert_int_equal(poll(&p, 1, 10000), 1);
		n = read(fd, buf + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	buf[len] = '\0';
	return len;
}

/* Wait until "status" says so, with a bound. */
static void status_reaches(const char *key, int value)
{
	int have = -1;

	for (int i = 0; i < 1000 && have != value; i++) {
		_cleanup_json_ json_t *answer = NULL;
		struct ssi_err e;

		assert_int_equal(call("status", NULL, &answer, &e), 0);
		have = (int)ssi_json_int(json_object_get(answer, "data"), key);
		poll(NULL, 0, have == value ? 0 : 5);
	}
	assert_int_equal(have, value);
}

static void client_goes_away(void **state)
{
	static const char follow[] = "{\"verb\":\"events\",\"args\":{\"follow\":true}}\n";
	int fd = raw_connect(), before;
	char c;
	_cleanup_json_ json_t *answer = NULL;
	struct ssi_err e;

	assert_int_equal(call("status", NULL, &answer, &e), 0);
	before = (int)ssi_json_int(json_object_get(answer, "data"), "gone");
	assert_int_equal(write(fd, follow, sizeof(follow) - 1), sizeof(follow) - 1);
	assert_int_equal(read(fd, &c, 1), 1);                /* the request is open now */
	close(fd);
	status_reaches("gone", before + 1);
}

/* A client that does not read, and a handler that does not pause: dropped, and the daemon goes on. */
static void client_does_not_read(void **state)
{
	static const char exec[] = "{\"verb\":\"exec\",\"args\":{\"range\":\"n01\",\"argv\":[\"yes\"]}}\n";
	_cleanup_close_ int fd = raw_connect();

	assert_int_equal(write(fd, exec, sizeof(exec) - 1), sizeof(exec) - 1);
	status_reaches("dropped", 1);
}

/* Several requests in one write, then the sending half shut: all are answered, in order. */
static void pipelined_and_half_closed(void **state)
{
	static const char two[] = "{\"verb\":\"status\"}\nnonsense\n{\"verb\":\"reload\"}\n";
	_cleanup_close_ int fd = raw_connect();
	char buf[4096], *second;

	assert_int_equal(write(fd, two, sizeof(two) - 1), sizeof(two) - 1);
	shutdown(fd, SHUT_WR);
	raw_read(fd, buf, sizeof(buf));
	assert_non_null(strstr(buf, "\"uid\""));
	second = strstr(buf, "not a request");
	assert_non_null(second);
	assert_non_null(strstr(second, "2 mistakes"));
}

static void line_too_long(void **state)
{
	static char line[SSI_CONTROL_REQUEST_MAX + 10];
	_cleanup_close_ int fd = raw_connect();
	char buf[4096];

	memset(line, ' ', sizeof(line));
	(void)!send(fd, line, sizeof(line), MSG_NOSIGNAL);
	raw_read(fd, buf, sizeof(buf));
	assert_non_null(strstr(buf, "more than 1 MiB"));
}

static void too_many_clients(void **state)
{
	int fds[SSI_CONTROL_CLIENTS + 1];
	char buf[4096];

	for (size_t i = 0; i <= SSI_CONTROL_CLIENTS; i++)
		fds[i] = raw_connect();
	raw_read(fds[SSI_CONTROL_CLIENTS], buf, sizeof(buf));
	assert_non_null(strstr(buf, "too many clients"));
	for (size_t i = 0; i <= SSI_CONTROL_CLIENTS; i++)
		close(fds[i]);
}

static void nobody_there(void **state)
{
	struct ssi_control *c = NULL;
	struct ssi_err e;

	assert_true(ssi_control_open("/nonexistent/sock", &c, &e) < 0);
	assert_non_null(strstr(e.text, "ssi-bootsvc is not running on this host"));
	assert_null(c);
}

/* Processor time of this process, in ms. */
static long cpu_ms(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* Out of descriptors the daemon rests, and takes who waits when there are some again. */
static void no_descriptors(void **state)
{
	static const char status[] = "{\"verb\":\"status\"}\n";
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rlimit was, none;
	char buf[1];
	long before;

	strcpy(sa.sun_path, path);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)fd;          /* descriptors are given from below, and below this one all are taken */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	before = cpu_ms();
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	poll(NULL, 0, 1000);
	before = cpu_ms() - before;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_in_range(before, 0, 100);
	assert_int_equal(write(fd, status, sizeof(status) - 1), sizeof(status) - 1);
	assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 10000), 1);
	assert_int_equal(read(fd, buf, 1), 1);
}

/* A daemon that is stopped: so many wait for it that the kernel makes the next wait too. */
static void stopped(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ssi_control_server *s = NULL;
	struct ssi_control *c = NULL;
	sd_event *event = NULL;
	struct ssi_err e;
	int waiting[8];

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/stopped", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (size_t i = 0; i < 8; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(waiting[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	alarm(60);
	assert_int_equal(ssi_control_open(sa.sun_path, &c, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "is it stopped"));
	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(ssi_control_listen(event, sa.sun_path, &s, &e), -EADDRINUSE);
	alarm(0);
	sd_event_unref(event);
	for (size_t i = 0; i < 8; i++)
		close(waiting[i]);
	unlink(sa.sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_good), cmocka_unit_test(parse_bad), cmocka_unit_test(text_of_any_bytes), cmocka_unit_test(answers),
		cmocka_unit_test(streams), cmocka_unit_test(client_goes_away), cmocka_unit_test(client_does_not_read),
		cmocka_unit_test(pipelined_and_half_closed), cmocka_unit_test(line_too_long), cmocka_unit_test(too_many_clients),
		cmocka_unit_test(nobody_there), cmocka_unit_test(no_descriptors), cmocka_unit_test(stopped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
