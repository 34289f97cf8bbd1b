/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns nothing: the bytes of a station's frame. Called on every frame, with bytes from the network, and by a fuzz target. */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "libssi/comm/station.h"
#include "libssi/comm/station-frame.h"

_Static_assert(STATION_BODY_MAX == SSI_CCM_BODY_MAX, "one bound");

struct hello_bytes { uint64_t session, fresh, known, next; uint32_t window, retain; };
_Static_assert(sizeof(struct hello_bytes) == STATION_HELLO, "no padding in a HELLO");
struct credit_bytes { uint16_t module, zero[3]; uint64_t taken; };
_Static_assert(sizeof(struct credit_bytes) == STATION_CREDIT, "no padding in a CREDIT");

static const uint32_t control_sizes[] = {
	[CONTROL_HELLO] = STATION_HELLO, [CONTROL_ACK] = 0, [CONTROL_CREDIT] = STATION_CREDIT, [CONTROL_ALIVE] = 0, [CONTROL_PART] = 0,
};

static int frame_check_control(const struct station_frame_bytes *h, struct ssi_err *e)
{
	uint16_t type = be16toh(h->type);

	if (!type || type > CONTROL_PART)
		return ssi_errf(e, -EBADMSG, "control frame of unknown type %u", type);
	if (be32toh(h->size) != control_sizes[type] || h->serial || h->flags || h->taken)
		return ssi_errf(e, -EBADMSG, "control frame %u of %u bytes, serial %llu, flags 0x%02x", type, be32toh(h->size),
				(unsigned long long)be64toh(h->serial), h->flags);
	return 0;
}

int station_frame_refuse(const struct station_frame_bytes *h, struct ssi_err *e)
{
	if (h->magic != htobe16(STATION_MAGIC))
		return ssi_errf(e, -EBADMSG, "not a frame (it begins with 0x%04x)", be16toh(h->magic));
	if (h->version != STATION_VERSION)
		return ssi_errf(e, -EBADMSG, "frame of version %u, this is version %u", h->version, STATION_VERSION);
	if ((h->flags & ~(STATION_KIND | STATION_WANTS_ANSWER)) || (h->flags & STATION_KIND) > KIND_NEWS || h->zero)
		return ssi_errf(e, -EBADMSG, "frame with unknown flags 0x%02x", h->flags);
	if (be32toh(h->size) > STATION_BODY_MAX)
		return ssi_errf(e, -EBADMSG, "frame with a body of %u bytes, at most %u are allowed", be32toh(h->size), STATION_BODY_MAX);
	if (!h->module)
		return frame_check_control(h, e);
	if (h->flags == KIND_NEWS)
		return h->serial ? ssi_errf(e, -EBADMSG, "news of module %u with a serial", be16toh(h->module)) : 0;
	if ((h->flags & STATION_KIND) == KIND_NEWS)
		return ssi_errf(e, -EBADMSG, "news of module %u that want an answer", be16toh(h->module));
	return h->serial ? 0 : ssi_errf(e, -EBADMSG, "message of module %u without a serial", be16toh(h->module));
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
