/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole station against a peer that says anything: the input is a script of what a plain connection brings. Without TLS, which would hide
 * all of it: whoever holds a key can say as much. One thread: the station runs in this program's loop, and is made anew for each input.
 *
 * First byte: bit 0 = begin with a HELLO as it should be, bit 1 = turns are settled, every third of them in vain. Then, until the end, one of these:
 *   0 n bytes...                      n bytes as they are
 *   1 flags module type serial ack sequence taken size-high size-low   a frame of the right peer, with a body of that size of zeros;
 *                                     its serial is the next one plus `serial`, of news it is `serial`; size is of 16 bits
 *   2 type                            a control frame of that type, whose body is the bytes that follow
 *   3 n                               as 1, but the header says a body that is n bytes longer than what comes
 *   4                                 send something back: a message that fills the way to the peer
 *   5 size                            news to the peer
 *   6 size                            a call whose body is shared
 *   7 next                            the connection is cut, and the next one goes on with the session (a HELLO that expects that serial)
 * A call or news of type REFUSED is refused by its handler, PARTED ends the session after the last words.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libssi/base/buf.h"
#include "libssi/comm/station.h"
#include "libssi/comm/station-frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SELF 9
#define PEER 1
#define NOW 7
#define BODY_MAX 4096u
#define SCRIPT_MAX 4096
#define TURNS 64                         /* of the loop, at most */
#define FRESH 77                         /* offered for a session */
#define REFUSED 200
#define PARTED 201
#define DEEDS_MAX 128

enum deed { DEED_BACK = 4, DEED_NEWS, DEED_SHARED, DEED_CUT };

struct script {
	const uint8_t *p;
	size_t n;
	uint64_t serial;
	struct ssi_buf out;
	struct { enum deed what; uint8_t arg; size_t at; } deeds[DEEDS_MAX];     /* done when so much of out was sent */
	unsigned n_deeds;
};

static struct ssi_ccm_station *station;

static void on_arrived(const struct ssi_ccm_head *head, void *userdata)
{
	struct ssi_ccm_head from = { .node = head->node, .module = head->module, .sequence = SSI_CCM_NOSEQ };
	void *body;

	/* Half of the modules are never taken from: their windows fill. */
	while (head->module % 2 && ssi_ccm_arecv(station, &from, &body) >= 0) {
		if (from.size > BODY_MAX || from.node != PEER)
			abort();
		ssi_ccm_body_free(body);
		from.sequence = SSI_CCM_NOSEQ;
	}
}

static void on_call(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < call->size; i++)
		sum ^= ((const uint8_t *)body)[i];
	ssi_ccm_answer(s, call, &sum, 1);
	if (call->type == REFUSED)
		ssi_ccm_refuse(s, call->node, &(struct ssi_err){ .code = -EINVAL, .text = "refused" });
	if (call->type == PARTED)
		ssi_ccm_part_after(s, call->node, 1000);
}

static int on_settle(struct ssi_err *e, void *userdata)
{
	static unsigned turns;

	return ++turns % 3 ? 0 : ssi_errf(e, -EIO, "not settled");
}

static uint8_t next(struct script *s)
{
	if (!s->n)
		return 0;
	s->n--;
	return *s->p++;
}

static void add(struct script *s, const void *p, size_t n)
{
	if (ssi_buf_add(&s->out, p, n) < 0)
		abort();
}

static struct station_frame from_peer(uint8_t flags, uint16_t module, uint16_t type, uint32_t size)
{
	return (struct station_frame){ .flags = flags, .module = module, .type = type, .source = PEER, .destination = SELF, .incarnation = NOW, .size = size };
}

static void add_frame(struct script *s, const struct station_frame *f, size_t body)
{
	static const uint8_t zeros[UINT16_MAX];
	uint8_t header[STATION_HEADER];

	station_frame_encode(f, header);
	add(s, header, sizeof(header));
	add(s, zeros, body);
}

static void hello_bytes(uint64_t session, uint64_t next_serial, uint8_t *ret)
{
	const struct station_hello h = { .session = session, .fresh = FRESH + (session > 0), .next = next_serial, .window = STATION_WINDOW_MIN, .retain = STATION_WINDOW_MIN };
	const struct station_frame f = from_peer(0, 0, CONTROL_HELLO, STATION_HELLO);

	station_frame_encode(&f, ret);
	station_hello_encode(&h, ret + STATION_HEADER);
}

static void add_hello(struct script *s)
{
	uint8_t bytes[STATION_HEADER + STATION_HELLO];

	hello_bytes(0, 1, bytes);
	add(s, bytes, sizeof(bytes));
}

static void add_message(struct script *s, uint32_t more)
{
	struct station_frame f = from_peer(next(s), 0, 0, 0);
	uint32_t body;

	f.module = next(s);
	f.type = next(s);
	f.serial = station_frame_kind(&f) == KIND_NEWS ? next(s) : ++s->serial + next(s);
	f.ack = next(s);
	f.sequence = next(s);
	f.taken = (uint64_t)next(s) << 6;
	body = (uint32_t)next(s) << 8;
	body |= next(s);
	f.size = body + more;
	add_frame(s, &f, body);
}

static void add_step(struct script *s)
{
	uint8_t n, what = next(s) % (DEED_CUT + 1);
	struct station_frame f;

	switch (what) {
	case 0:
		n = next(s);
		n = n < s->n ? n : (uint8_t)s->n;
		add(s, s->p, n);
		s->p += n;
		s->n -= n;
		break;
	case 1:
		add_message(s, 0);
		break;
	case 2:
		f = from_peer(0, 0, next(s), 0);
		f.size = f.type == CONTROL_HELLO ? STATION_HELLO : f.type == CONTROL_CREDIT ? STATION_CREDIT : 0;
		add_frame(s, &f, 0);
		for (uint32_t i = 0; i < f.size; i++)
			add(s, &(uint8_t){ next(s) }, 1);
		break;
	case 3:
		n = next(s);
		add_message(s, n);
		break;
	default:
		n = what == DEED_BACK ? 0 : next(s);
		if (s->n_deeds == DEEDS_MAX)
			break;
		s->deeds[s->n_deeds].what = what;
		s->deeds[s->n_deeds].arg = n;
		s->deeds[s->n_deeds++].at = s->out.len;
		break;
	}
}

static int dial(uint16_t port)
{
	const struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) }, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		abort();
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));      /* no ports left behind */
	return fd;
}

/* Until nothing happens any more. */
static void turn(sd_event *event)
{
	int idle = 0;

	for (int i = 0; i < TURNS && idle < 2; i++)
		idle = sd_event_run(event, 0) > 0 ? 0 : idle + 1;
}

static void say_shared(uint8_t size)
{
	const struct ssi_ccm_head to = { .node = PEER, .module = 2, .type = 1 };
	struct ssi_ccm_body *b = ssi_ccm_body_new((size_t)size << 6);

	if (!b)
		abort();
	memset(b->data, 1, b->len);
	ssi_ccm_rcall_shared(station, &to, "head", size % 5, b, SSI_CCM_NOWAIT, 0);
	ssi_ccm_body_unref(b);
}

static void do_deed(sd_event *event, int *fd, enum deed what, uint8_t arg)
{
	static const uint8_t body[BODY_MAX];
	const struct ssi_ccm_head to = { .node = PEER, .module = 2, .type = 1 };
	uint8_t bytes[STATION_HEADER + STATION_HELLO];

	switch (what) {
	case DEED_BACK:
		ssi_ccm_bsend(station, &to, body, sizeof(body), SSI_CCM_NOWAIT, 0);
		break;
	case DEED_NEWS:
		ssi_ccm_news(station, &to, body, (size_t)arg << 4);
		break;
	case DEED_SHARED:
		say_shared(arg);
		break;
	case DEED_CUT:
		close(*fd);
		turn(event);
		*fd = dial(ssi_ccm_station_port(station));
		hello_bytes(FRESH, arg, bytes);
		send(*fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
		turn(event);
		break;
	}
}

static void play(sd_event *event, struct script *s)
{
	int fd = dial(ssi_ccm_station_port(station));
	size_t at = 0;

	for (unsigned i = 0;;) {
		size_t to = i < s->n_deeds ? s->deeds[i].at : s->out.len;
		ssize_t n = at < to ? send(fd, s->out.data + at, to - at, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

		turn(event);
		if (n < 0 && errno != EAGAIN)
			at = to;                     /* it has had enough of us: what comes next is for another connection, if there is one */
		at += n > 0 ? (size_t)n : 0;
		if (at < to)
			continue;
		if (i == s->n_deeds)
			break;
		do_deed(event, &fd, s->deeds[i].what, s->deeds[i].arg);
		i++;
	}
	shutdown(fd, SHUT_WR);
	turn(event);
	close(fd);
	turn(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ssi_ccm_station_ops ops = { .arrived = on_arrived }, ops_settle = { .arrived = on_arrived, .settle = on_settle };
	static const struct ssi_ccm_permit lines[] = { { 1, 0, BODY_MAX, PEER, PEER }, { 2, 0, BODY_MAX, PEER, PEER }, { 3, 1, 16, PEER, PEER },
						       { 4, 0, BODY_MAX, PEER + 1, PEER + 1 } };
	struct ssi_ccm_station_config config = { .number = SELF, .incarnation = NOW, .address = { htonl(INADDR_LOOPBACK) }, .plain = true,
						 .window = STATION_WINDOW_MIN, .retain = STATION_WINDOW_MIN };
	struct script s = { .p = data, .n = size };
	uint8_t first;

	if (!size || size > SCRIPT_MAX)
		return 0;
	first = next(&s);
	config.ops = first & 2 ? &ops_settle : &ops;
	if (sd_event_new(&config.event) < 0 || ssi_ccm_station_new(&config, &station, NULL) < 0 ||
	    ssi_ccm_permit(station, lines, sizeof(lines) / sizeof(*lines)) < 0 || ssi_ccm_listen_to(station, PEER, NULL) < 0 ||
	    ssi_ccm_regist(station, 1, SSI_CCM_DEFAULT, on_call, NULL) < 0)
		abort();
	if (first & 1)
		add_hello(&s);
	while (s.n)
		add_step(&s);
	play(config.event, &s);
	ssi_ccm_station_free(station);
	sd_event_unref(config.event);
	ssi_buf_free(&s.out);
	return 0;
}
