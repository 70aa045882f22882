;; A rule that does what the first letter of its parameters says. Written by hand, so that every way in which a guest
;; can go wrong can be told apart from what a toolchain makes of it.
;;
;; All pointers and lengths follow the canonical ABI: the 22 flat parameters of `evaluate` do not fit, so it gets a
;; pointer to them; results are pointers too. Arguments of evaluate: parameters at 0, the nine columns at 8 to 72,
;; state at 80. Result: discriminant at 0; then verdict at 4, withheld at 12, state at 20, or the error at 4.
(component
  (import "weir:rule/types@0.1.0" (instance $types
    (type $batch-record (record
      (field "device" (list u64)) (field "slot" (list u32)) (field "code" (list u16))
      (field "occurred-ms" (list s64)) (field "measurement" (list s32)) (field "weight" (list u32))
      (field "flags" (list u8)) (field "operator" (list u8)) (field "model" (list u32))))
    (export "batch" (type (eq $batch-record)))
    (type $outcome-record (record (field "verdict" (list u8)) (field "withheld" (list u32)) (field "state" (list u64))))
    (export "outcome" (type (eq $outcome-record)))
    (type $state-key-enum (enum "device" "device-and-code"))
    (export "state-key" (type $state-key (eq $state-key-enum)))
    (type $columns-flags (flags "device" "occurred" "measurement" "weight" "operator" "model"))
    (export "columns" (type $columns (eq $columns-flags)))
    (type $description-record (record
      (field "name" string) (field "version" string) (field "summary" string) (field "parameters-schema" string)
      (field "state-key" $state-key) (field "state-words" u32) (field "state-version" u32)
      (field "reasons" (list string)) (field "reads" $columns)))
    (export "description" (type (eq $description-record)))))
  (alias export $types "batch" (type $batch))
  (alias export $types "outcome" (type $outcome))
  (alias export $types "description" (type $description))

  (core module $probe
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (global $calls (mut i32) (i32.const 0))
    (table 1 funcref)

    (data (i32.const 16) "probe")
    (data (i32.const 32) "1.2.3")
    (data (i32.const 48) "does what it is told")
    (data (i32.const 80) "{\"type\":\"object\"}")
    (data (i32.const 112) "first")
    (data (i32.const 128) "second")
    (data (i32.const 144) "no, \1b[31mnever")
    (data (i32.const 160) "\ff\fe")
    ;; The two reasons.
    (data (i32.const 176) "\70\00\00\00\05\00\00\00\80\00\00\00\06\00\00\00")
    ;; The description.
    (data (i32.const 192)
      "\10\00\00\00\05\00\00\00\20\00\00\00\05\00\00\00\30\00\00\00\14\00\00\00\50\00\00\00\11\00\00\00"
      "\01\00\00\00\02\00\00\00\05\00\00\00\b0\00\00\00\02\00\00\00\05")

    (func $alloc (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $top) (i32.shl (memory.size) (i32.const 16))))
        (br_if $fits (i32.ne (i32.const -1)
          (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)))))
        unreachable)
      (local.get $at))

    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $alloc (local.get 3)))

    (func (export "describe") (result i32)
      (;DESCRIBE;)
      (i32.const 192))

    ;; Refuses "refuse", loops over "loop".
    (func (export "check") (param $text i32) (param $bytes i32) (result i32)
      (local $result i32)
      (local.set $result (call $alloc (i32.const 12)))
      (if (i32.eqz (local.get $bytes)) (then (return (local.get $result))))
      (if (i32.eq (i32.load8_u (local.get $text)) (i32.const 0x6c)) (then (loop $l (br $l))))
      (if (i32.eq (i32.load8_u (local.get $text)) (i32.const 0x72)) (then
        (i32.store8 (local.get $result) (i32.const 1))
        (i32.store offset=4 (local.get $result) (i32.const 144))
        (i32.store offset=8 (local.get $result) (i32.const 14))))
      (local.get $result))

    (func $deep (param i32) (result i32)
      (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))

    (func (export "evaluate") (param $in i32) (result i32)
      (local $out i32) (local $n i32) (local $do i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (local.set $n (i32.load offset=12 (local.get $in)))
      (local.set $out (call $alloc (i32.const 28)))
      (i32.store offset=4 (local.get $out) (call $alloc (local.get $n)))
      (i32.store offset=8 (local.get $out) (local.get $n))
      (i32.store offset=20 (local.get $out) (i32.load offset=80 (local.get $in)))
      (i32.store offset=24 (local.get $out) (i32.load offset=84 (local.get $in)))
      (if (i32.load offset=4 (local.get $in)) (then (local.set $do (i32.load8_u (i32.load (local.get $in))))))

      ;; loop
      (if (i32.eq (local.get $do) (i32.const 0x6c)) (then (loop $l (br $l))))
      ;; memory
      (if (i32.eq (local.get $do) (i32.const 0x6d)) (then (loop $l
        (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))
      ;; grab memory, take no for an answer
      (if (i32.eq (local.get $do) (i32.const 0x67)) (then (loop $l
        (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))))
      ;; need two megabytes more, take no for an answer
      (if (i32.eq (local.get $do) (i32.const 0x6e)) (then (drop (memory.grow (i32.const 32)))))
      ;; table
      (if (i32.eq (local.get $do) (i32.const 0x62)) (then
        (if (i32.eq (table.grow (ref.null func) (i32.const 200000)) (i32.const -1)) (then unreachable))))
      ;; trap
      (if (i32.eq (local.get $do) (i32.const 0x74)) (then unreachable))
      ;; stack
      (if (i32.eq (local.get $do) (i32.const 0x73)) (then (drop (call $deep (i32.const 0)))))
      ;; count: one verdict too few
      (if (i32.eq (local.get $do) (i32.const 0x63)) (then
        (i32.store offset=8 (local.get $out) (i32.sub (local.get $n) (i32.const 1)))))
      ;; reason: the second alert is suppressed for reason 3
      (if (i32.eq (local.get $do) (i32.const 0x72)) (then
        (i32.store8 offset=1 (i32.load offset=4 (local.get $out)) (i32.const 3))))
      ;; first suppressed for reason 2, withheld filled in
      (if (i32.eq (local.get $do) (i32.const 0x76)) (then
        (i32.store8 (i32.load offset=4 (local.get $out)) (i32.const 2))
        (i32.store offset=12 (local.get $out) (call $alloc (i32.shl (local.get $n) (i32.const 2))))
        (i32.store offset=16 (local.get $out) (local.get $n))
        (i32.store offset=4 (i32.load offset=12 (local.get $out)) (i32.const 7))))
      ;; withheld: too many
      (if (i32.eq (local.get $do) (i32.const 0x77)) (then
        (i32.store offset=12 (local.get $out) (i32.const 256))
        (i32.store offset=16 (local.get $out) (i32.add (local.get $n) (i32.const 1)))))
      ;; x: state of another length
      (if (i32.eq (local.get $do) (i32.const 0x78)) (then
        (i32.store offset=24 (local.get $out) (i32.const 1))))
      ;; add 1 to the first word of state
      (if (i32.eq (local.get $do) (i32.const 0x61)) (then
        (i64.store (i32.load offset=20 (local.get $out))
          (i64.add (i64.load (i32.load offset=20 (local.get $out))) (i64.const 1)))))
      ;; out of bounds
      (if (i32.eq (local.get $do) (i32.const 0x6f)) (then (i32.store offset=4 (local.get $out) (i32.const -16))))
      ;; discriminant
      (if (i32.eq (local.get $do) (i32.const 0x64)) (then (i32.store8 (local.get $out) (i32.const 2))))
      ;; error
      (if (i32.eq (local.get $do) (i32.const 0x65)) (then
        (i32.store8 (local.get $out) (i32.const 1))
        (i32.store offset=4 (local.get $out) (i32.const 144))
        (i32.store offset=8 (local.get $out) (i32.const 14))))
      ;; huge error: 8 MiB of zeros
      (if (i32.eq (local.get $do) (i32.const 0x68)) (then
        (i32.store8 (local.get $out) (i32.const 1))
        (i32.store offset=4 (local.get $out) (call $alloc (i32.const 0x800000)))
        (i32.store offset=8 (local.get $out) (i32.const 0x800000))))
      ;; utf8: an error that is none
      (if (i32.eq (local.get $do) (i32.const 0x75)) (then
        (i32.store8 (local.get $out) (i32.const 1))
        (i32.store offset=4 (local.get $out) (i32.const 160))
        (i32.store offset=8 (local.get $out) (i32.const 2))))
      ;; impure: suppresses the first alert from the second call on
      (if (i32.eq (local.get $do) (i32.const 0x69)) (then
        (i32.store8 (i32.load offset=4 (local.get $out)) (i32.gt_u (global.get $calls) (i32.const 1)))))
      ;; y: everything overlaps everything, all of it as long as memory
      (if (i32.eq (local.get $do) (i32.const 0x79)) (then
        (drop (memory.grow (i32.const 900)))
        (i32.store offset=4 (local.get $out) (i32.const 0))
        (i32.store offset=8 (local.get $out) (i32.shl (memory.size) (i32.const 16)))
        (i32.store offset=20 (local.get $out) (i32.const 0))
        (i32.store offset=24 (local.get $out) (i32.shl (memory.size) (i32.const 13)))))
      (local.get $out))

    ;; What a guest leaves behind must not matter any more: the clean-up overwrites everything it handed out.
    (func (export "post-evaluate") (param i32)
      (memory.fill (i32.const 4096) (i32.const 0xee) (i32.sub (global.get $top) (i32.const 4096))))

    (;MORE;)
  )
  (core instance $i (instantiate $probe))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "post-evaluate" (core func $post))

  (func $describe (result $description)
    (canon lift (core func $i "describe") (memory $memory)))
  (func $check (param "parameters" string) (result (result (error string)))
    (canon lift (core func $i "check") (memory $memory) (realloc $realloc)))
  (func $evaluate (param "parameters" string) (param "alerts" $batch) (param "state" (list u64))
      (result (result $outcome (error string)))
    (canon lift (core func $i "evaluate") (memory $memory) (realloc $realloc) (post-return $post)))
  (export "describe" (func $describe))
  (export "check" (func $check))
  (export "evaluate" (func $evaluate))
)
