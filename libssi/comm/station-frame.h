/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The frame between stations, as drawn in doc/ccm.md: version 2 of doc/wire.md's. Pure: bytes in, struct out. */
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "libssi/base/err.h"

#define STATION_HEADER 64                /* so that a body is copied between places that lie alike: 10 % of a large one's time */
#define STATION_MAGIC 0x5353
#define STATION_VERSION 2
#define STATION_BODY_MAX (1u << 20)      /* SSI_CCM_BODY_MAX */
#define STATION_HELLO 40                 /* bytes of a HELLO's body */
#define STATION_CREDIT 16
#define STATION_WINDOW_MIN (64u << 10)  /* of what a station says it retains, and of its credit */
#define STATION_CONTROL_MAX STATION_HELLO

enum station_kind { KIND_MESSAGE, KIND_SHORT, KIND_LONG, KIND_ANSWER, KIND_NO_HANDLER, KIND_NEWS };
#define STATION_KIND 7                   /* the bits of flags that hold it */
#define STATION_WANTS_ANSWER 8
enum station_control { CONTROL_HELLO = 1, CONTROL_ACK, CONTROL_CREDIT, CONTROL_ALIVE, CONTROL_PART };

struct station_frame {
	uint8_t flags;
	uint16_t module, type;
	uint32_t source, destination;
	uint64_t incarnation;                /* of the source */
	uint64_t sequence, serial, ack;
	uint32_t size;                       /* of the body */
	uint64_t taken;                      /* bytes of this module that the source has taken in this session */
};
static inline enum station_kind station_frame_kind(const struct station_frame *f) { return f->flags & STATION_KIND; }

struct station_hello {
	uint64_t session, fresh, known, next;
	uint32_t window, retain;
};

/* The 64 bytes as they are; every field is aligned by nature. */
struct station_frame_bytes {
	uint16_t magic;
	uint8_t version, flags;
	uint16_t module, type;
	uint32_t source, destination;
	uint64_t incarnation, sequence, serial, ack;
	uint32_t size, zero;
	uint64_t taken;
};
_Static_assert(sizeof(struct station_frame_bytes) == STATION_HEADER, "no padding in the header");

/* Why h is no frame: -EBADMSG and the reason; 0 when it is one after all (a control frame or news, which the quick look leaves to this). */
int station_frame_refuse(const struct station_frame_bytes *h, struct ssi_err *e) __attribute__((cold));

/*
 * -EBADMSG with the reason when no station sends such a frame: wrong magic, version, flags; a body over SSI_CCM_BODY_MAX; a control frame
 * of unknown type, of a size that is not its type's, or with a serial; any other without one, but news, which have none. Needs STATION_HEADER bytes. Here, and not in
 * the .c file, as what follows: they are for every message.
 */
static inline int station_frame_decode(const uint8_t *p, struct station_frame *ret, struct ssi_err *e)
{
	struct station_frame_bytes h;
	int r;

	memcpy(&h, p, sizeof(h));
	if (h.magic != htobe16(STATION_MAGIC) || h.version != STATION_VERSION || (h.flags & STATION_KIND) >= KIND_NEWS ||
	    h.flags & ~(STATION_KIND | STATION_WANTS_ANSWER) || h.zero || be32toh(h.size) > STATION_BODY_MAX || !h.module || !h.serial) {
		r = station_frame_refuse(&h, e);
		if (r < 0)
			return r;
	}
	*ret = (struct station_frame){
		.flags = h.flags, .module = be16toh(h.module), .type = be16toh(h.type),
		.source = be32toh(h.source), .destination = be32toh(h.destination), .incarnation = be64toh(h.incarnation),
		.sequence = be64toh(h.sequence), .serial = be64toh(h.serial), .ack = be64toh(h.ack), .size = be32toh(h.size),
		.taken = be64toh(h.taken),
	};
	return 0;
}

static inline void station_frame_encode(const struct station_frame *f, uint8_t *p)
{
	const struct station_frame_bytes h = {
		.magic = htobe16(STATION_MAGIC), .version = STATION_VERSION, .flags = f->flags,
		.module = htobe16(f->module), .type = htobe16(f->type),
		.source = htobe32(f->source), .destination = htobe32(f->destination), .incarnation = htobe64(f->incarnation),
		.sequence = htobe64(f->sequence), .serial = htobe64(f->serial), .ack = htobe64(f->ack), .size = htobe32(f->size),
		.taken = htobe64(f->taken),
	};

	memcpy(p, &h, sizeof(h));
}

/* Two numbers of an encoded frame, for who walks over many. */
static inline uint64_t station_frame_serial(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p + offsetof(struct station_frame_bytes, serial), sizeof(v));
	return be64toh(v);
}

static inline uint32_t station_frame_size(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p + offsetof(struct station_frame_bytes, size), sizeof(v));
	return be32toh(v);
}

/* A HELLO's body; -EBADMSG for windows that nobody may have. */
int station_hello_decode(const uint8_t *p, struct station_hello *ret, struct ssi_err *e);
void station_hello_encode(const struct station_hello *h, uint8_t *p);
/* A CREDIT's body. */
void station_credit_decode(const uint8_t *p, uint16_t *ret_module, uint64_t *ret_taken);
void station_credit_encode(uint16_t module, uint64_t taken, uint8_t *p);
