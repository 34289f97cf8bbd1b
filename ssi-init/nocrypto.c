/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for libcrypto.so.3 in an initramfs. libkmod is linked with it for one thing, the text of a module's signature (modinfo), which nothing in
 * an initramfs shows; the kernel itself checks signatures. The real one would be a quarter of the initramfs. Every answer here is "no such
 * thing", which libkmod takes for a module without a signature. initramfs/90ssi puts it in place, unless something else there needs the real one.
 */
#include <stddef.h>

#define NONE(name)         \
	void *name(void);  \
	void *name(void)   \
	{                  \
		return NULL; \
	}

NONE(ASN1_INTEGER_to_BN)
NONE(ASN1_STRING_get0_data)
NONE(ASN1_STRING_length)
NONE(BIO_free)
NONE(BIO_new_mem_buf)
NONE(BN_bn2bin)
NONE(BN_free)
NONE(BN_num_bits)
NONE(OBJ_obj2nid)
NONE(OPENSSL_sk_value)
NONE(PKCS7_SIGNER_INFO_get0_algs)
NONE(PKCS7_free)
NONE(PKCS7_get_signer_info)
NONE(X509_ALGOR_get0)
NONE(X509_NAME_ENTRY_get_data)
NONE(X509_NAME_ENTRY_get_object)
NONE(X509_NAME_entry_count)
NONE(X509_NAME_get_entry)
NONE(d2i_PKCS7_bio)
