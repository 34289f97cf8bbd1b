/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns nothing: the bytes of a station's frame. Called on every frame, with bytes from the network, and by a fuzz target. */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "libssi/comm/station.h"
#include "libssi/comm/station-frame.h"

#define FRAME_MAGIC 0x5353
#define FRAME_VERSION 2

/* The 64 bytes as they are; every field is aligned by nature. */
struct frame_bytes {
	uint16_t magic;
	uint8_t version, flags;
	uint16_t module, type;
	uint32_t source, destination;
	uint64_t incarnation, sequence, serial, ack;
	uint32_t size, zero;
	uint64_t taken;
};
_Static_assert(sizeof(struct frame_bytes) == STATION_HEADER, "no padding in the header");

struct hello_bytes { uint64_t session, fresh, known, next; uint32_t window, retain; };
_Static_assert(sizeof(struct hello_bytes) == STATION_HELLO, "no padding in a HELLO");
struct credit_bytes { uint16_t module, zero[3]; uint64_t taken; };
_Static_assert(sizeof(struct credit_bytes) == STATION_CREDIT, "no padding in a CREDIT");

static const uint32_t control_sizes[] = {
	[CONTROL_HELLO] = STATION_HELLO, [CONTROL_ACK] = 0, [CONTROL_CREDIT] = STATION_CREDIT, [CONTROL_ALIVE] = 0, [CONTROL_PART] = 0,
};

static int frame_check_control(const struct station_frame *f, struct ssi_err *e)
{
	if (!f->type || f->type > CONTROL_PART)
		return ssi_errf(e, -EBADMSG, "control frame of unknown type %u", f->type);
	if (f->size != control_sizes[f->type] || f->serial || f->flags || f->taken)
		return ssi_errf(e, -EBADMSG, "control frame %u of %u bytes, serial %llu, flags 0x%02x", f->type, f->size,
				(unsigned long long)f->serial, f->flags);
	return 0;
}

int station_frame_decode(const uint8_t *p, struct station_frame *ret, struct ssi_err *e)
{
	struct frame_bytes h;

	memcpy(&h, p, sizeof(h));
	if (h.magic != htobe16(FRAME_MAGIC))
		return ssi_errf(e, -EBADMSG, "not a frame (it begins with 0x%04x)", be16toh(h.magic));
	if (h.version != FRAME_VERSION)
		return ssi_errf(e, -EBADMSG, "frame of version %u, this is version %u", h.version, FRAME_VERSION);
	if ((h.flags & ~(STATION_KIND | STATION_WANTS_ANSWER)) || (h.flags & STATION_KIND) > KIND_NO_HANDLER || h.zero)
		return ssi_errf(e, -EBADMSG, "frame with unknown flags 0x%02x", h.flags);
	if (be32toh(h.size) > SSI_CCM_BODY_MAX)
		return ssi_errf(e, -EBADMSG, "frame with a body of %u bytes, at most %u are allowed", be32toh(h.size), SSI_CCM_BODY_MAX);
	*ret = (struct station_frame){
		.flags = h.flags, .module = be16toh(h.module), .type = be16toh(h.type),
		.source = be32toh(h.source), .destination = be32toh(h.destination), .incarnation = be64toh(h.incarnation),
		.sequence = be64toh(h.sequence), .serial = be64toh(h.serial), .ack = be64toh(h.ack), .size = be32toh(h.size), .taken = be64toh(h.taken),
	};
	if (!ret->module)
		return frame_check_control(ret, e);
	return ret->serial ? 0 : ssi_errf(e, -EBADMSG, "message of module %u without a serial", ret->module);
}

void station_frame_encode(const struct station_frame *f, uint8_t *p)
{
	struct frame_bytes h = {
		.magic = htobe16(FRAME_MAGIC), .version = FRAME_VERSION, .flags = f->flags,
		.module = htobe16(f->module), .type = htobe16(f->type),
		.source = htobe32(f->source), .destination = htobe32(f->destination), .incarnation = htobe64(f->incarnation),
		.sequence = htobe64(f->sequence), .serial = htobe64(f->serial), .ack = htobe64(f->ack), .size = htobe32(f->size), .taken = htobe64(f->taken),
	};

	memcpy(p, &h, sizeof(h));
}

uint64_t station_frame_serial(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p + offsetof(struct frame_bytes, serial), sizeof(v));
	return be64toh(v);
}

uint32_t station_frame_size(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p + offsetof(struct frame_bytes, size), sizeof(v));
	return be32toh(v);
}

int station_hello_decode(const uint8_t *p, struct station_hello *ret, struct ssi_err *e)
{
	struct hello_bytes b;

	memcpy(&b, p, sizeof(b));
	*ret = (struct station_hello){
		.session = be64toh(b.session), .fresh = be64toh(b.fresh), .known = be64toh(b.known), .next = be64toh(b.next),
		.window = be32toh(b.window), .retain = be32toh(b.retain),
	};
	if (ret->window < STATION_WINDOW_MIN || ret->retain < STATION_WINDOW_MIN || !ret->next)
		return ssi_errf(e, -EBADMSG, "HELLO with a window of %u, a bound of %u, next serial %llu", ret->window, ret->retain,
				(unsigned long long)ret->next);
	return 0;
}

void station_hello_encode(const struct station_hello *h, uint8_t *p)
{
	struct hello_bytes b = {
		.session = htobe64(h->session), .fresh = htobe64(h->fresh), .known = htobe64(h->known), .next = htobe64(h->next),
		.window = htobe32(h->window), .retain = htobe32(h->retain),
	};

	memcpy(p, &b, sizeof(b));
}

void station_credit_decode(const uint8_t *p, uint16_t *ret_module, uint64_t *ret_taken)
{
	struct credit_bytes b;

	memcpy(&b, p, sizeof(b));
	*ret_module = be16toh(b.module);
	*ret_taken = be64toh(b.taken);
}

void station_credit_encode(uint16_t module, uint64_t taken, uint8_t *p)
{
	struct credit_bytes b = { .module = htobe16(module), .taken = htobe64(taken) };

	memcpy(p, &b, sizeof(b));
}
