//! Every example of the ETL reference, by its id, from `testdata/examples.yaml`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::{Examples, check};

const EXAMPLES: &str = include_str!("../testdata/examples.yaml");

macro_rules! examples {
    ($($name:ident: $id:literal,)*) => {
        $(#[test]
        fn $name() {
            check(&Examples::read(EXAMPLES), $id);
        })*

        /// No example of the file is left out, and none is made up.
        #[test]
        fn all_examples_are_tests() {
            assert_eq!(Examples::read(EXAMPLES).ids(), [$($id),*]);
        }
    };
}

examples! {
    e_json_1: "E-JSON-1",
    e_json_2: "E-JSON-2",
    e_json_3: "E-JSON-3",
    e_json_4: "E-JSON-4",
    e_json_5: "E-JSON-5",
    e_json_6: "E-JSON-6",
    e_json_7: "E-JSON-7",
    e_json_8: "E-JSON-8",
    e_json_9: "E-JSON-9",
    e_dl_1: "E-DL-1",
    e_dl_2: "E-DL-2",
    e_dl_3: "E-DL-3",
    e_dl_4: "E-DL-4",
    e_dl_5: "E-DL-5",
    e_dl_6: "E-DL-6",
    e_dl_7: "E-DL-7",
    e_re_1: "E-RE-1",
    e_re_2: "E-RE-2",
    e_re_3: "E-RE-3",
    e_re_4: "E-RE-4",
    e_re_5: "E-RE-5",
    e_re_6: "E-RE-6",
    e_re_7: "E-RE-7",
    e_re_8: "E-RE-8",
    e_rg_1: "E-RG-1",
    e_ar_1: "E-AR-1",
    e_ar_2: "E-AR-2",
    e_ar_3: "E-AR-3",
    e_ar_4: "E-AR-4",
    e_ar_5: "E-AR-5",
    e_ar_6: "E-AR-6",
    e_gu_1: "E-GU-1",
    e_gu_2: "E-GU-2",
    e_gu_3: "E-GU-3",
    e_kv_1: "E-KV-1",
    e_kv_2: "E-KV-2",
    e_kv_3: "E-KV-3",
    e_kv_4: "E-KV-4",
    e_kv_5: "E-KV-5",
    e_row_1: "E-ROW-1",
    e_row_2: "E-ROW-2",
    e_row_3: "E-ROW-3",
    e_row_4: "E-ROW-4",
    e_row_5: "E-ROW-5",
    e_row_6: "E-ROW-6",
    e_row_7: "E-ROW-7",
    e_jp_1: "E-JP-1",
    e_jp_2: "E-JP-2",
    e_jp_3: "E-JP-3",
    e_jp_4: "E-JP-4",
    e_jp_5: "E-JP-5",
    e_jp_6: "E-JP-6",
    e_jp_7: "E-JP-7",
    e_op_1: "E-OP-1",
    e_op_2: "E-OP-2",
    e_op_3: "E-OP-3",
    e_op_4: "E-OP-4",
    e_op_5: "E-OP-5",
    e_op_6: "E-OP-6",
    e_op_7: "E-OP-7",
    e_op_8: "E-OP-8",
    e_op_9: "E-OP-9",
    e_op_10: "E-OP-10",
    e_op_11: "E-OP-11",
    e_op_12: "E-OP-12",
    e_op_13: "E-OP-13",
    e_ty_1: "E-TY-1",
    e_ty_2: "E-TY-2",
    e_ty_3: "E-TY-3",
    e_ty_4: "E-TY-4",
    e_dt_1: "E-DT-1",
    e_dt_2: "E-DT-2",
    e_dt_3: "E-DT-3",
    e_dt_4: "E-DT-4",
    e_dt_5: "E-DT-5",
    e_dt_6: "E-DT-6",
    e_fi_1: "E-FI-1",
    e_fi_2: "E-FI-2",
    e_fi_3: "E-FI-3",
    e_fi_4: "E-FI-4",
    e_fi_5: "E-FI-5",
    e_fi_6: "E-FI-6",
    e_fi_7: "E-FI-7",
    e_fi_8: "E-FI-8",
    e_fi_9: "E-FI-9",
    e_fi_10: "E-FI-10",
    e_md_1: "E-MD-1",
    e_md_2: "E-MD-2",
    e_out_1: "E-OUT-1",
    e_out_2: "E-OUT-2",
    e_out_3: "E-OUT-3",
    e_out_4: "E-OUT-4",
    e_out_5: "E-OUT-5",
    e_out_6: "E-OUT-6",
    e_out_7: "E-OUT-7",
    e_dlq_1: "E-DLQ-1",
    e_dlq_2: "E-DLQ-2",
    e_dlq_3: "E-DLQ-3",
    e_mul_1: "E-MUL-1",
    e_mul_2: "E-MUL-2",
    e_tpl_1: "E-TPL-1",
    e_tpl_2: "E-TPL-2",
    e_pv_1: "E-PV-1",
    e_by_1: "E-BY-1",
    e_by_2: "E-BY-2",
    e_by_3: "E-BY-3",
    e_by_4: "E-BY-4",
    e_by_5: "E-BY-5",
}
