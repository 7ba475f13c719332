# A folder of OP-TEE's core, from outside of its tree. COREWARDEN_PTA_CPPFLAGS: variants for negative tests only, see
# docs/pta-api.md 4. The header is made from the Rust definitions of what TA and PTA agree on.
srcs-y += corewarden_pta.c
incdirs-y += ../../../formats/ta-protocol/include
cppflags-y += $(COREWARDEN_PTA_CPPFLAGS)
