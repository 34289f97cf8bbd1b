/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The frame between stations, as drawn in doc/ccm.md: version 2 of doc/wire.md's. Pure: bytes in, struct out. */
#include <stdint.h>
#include "libssi/base/err.h"

#define STATION_HEADER 64                /* so that a body is copied between places that lie alike: 10 % of a large one's time */
#define STATION_HELLO 40                 /* bytes of a HELLO's body */
#define STATION_CREDIT 16
#define STATION_WINDOW_MIN (64u << 10)  /* of what a station says it retains, and of its credit */
#define STATION_CONTROL_MAX STATION_HELLO

enum station_kind { KIND_MESSAGE, KIND_SHORT, KIND_LONG, KIND_ANSWER, KIND_NO_HANDLER };
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

/*
 * -EBADMSG with the reason when no station sends such a frame: wrong magic, version, flags; a body over SSI_CCM_BODY_MAX; a control frame
 * of unknown type, of a size that is not its type's, or with a serial; any other without one. Needs STATION_HEADER bytes.
 */
int station_frame_decode(const uint8_t *p, struct station_frame *ret, struct ssi_err *e);
void station_frame_encode(const struct station_frame *f, uint8_t *p);
/* Two numbers of an encoded frame, for who walks over many. */
uint64_t station_frame_serial(const uint8_t *p);
uint32_t station_frame_size(const uint8_t *p);

/* A HELLO's body; -EBADMSG for windows that nobody may have. */
int station_hello_decode(const uint8_t *p, struct station_hello *ret, struct ssi_err *e);
void station_hello_encode(const struct station_hello *h, uint8_t *p);
/* A CREDIT's body. */
void station_credit_decode(const uint8_t *p, uint16_t *ret_module, uint64_t *ret_taken);
void station_credit_encode(uint16_t module, uint64_t taken, uint8_t *p);
