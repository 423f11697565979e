"""Proofs by SAT for all inputs, and that the properties can fail: FIFO, token counter, burst splitter, register block.

From reset, for so many cycles that every counter and queue goes round.
"""

from __future__ import annotations

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.csr import REGISTERS, FieldKind
from fitact_hw.overhead.formal import prove_from_reset
from fitact_hw.verilog import generate
from fitact_hw.verilog.csr_block import signal
from tests.rtl_cells.cell_runner import RTL


def cells(*names: str, old: str = "", new: str = "") -> dict[str, str]:
    """Sources of cells; the first one with ``old``, which is there once, replaced by ``new``."""
    files = {f"{name}.v": (RTL / f"{name}.v").read_text() for name in names}
    if old:
        first = f"{names[0]}.v"
        assert files[first].count(old) == 1, "the cell was rewritten: plant the bug in its new text"
        files[first] = files[first].replace(old, new)
    return files


RESET = """
    reg up = 0;
    always @(posedge clk) up <= 1;
"""

FIFO = """
module bench(input wire clk, input wire clear, input wire in_valid, input wire out_ready, input wire [1:0] in_data);
{reset}
    wire in_ready, out_valid;
    wire [1:0] out_data;
    fitact_fifo #(.WIDTH(2), .DEPTH({depth})) u_fifo (.clk(clk), .rst_n(up), .clear(clear), .in_valid(in_valid),
        .in_ready(in_ready), .in_data(in_data), .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data));
    reg [{top}:0] held;  // the oldest entry lowest
    reg [3:0] count;
    wire push = in_valid && in_ready;
    wire pop = out_valid && out_ready;
    wire [{top}:0] rest = pop ? held >> 2 : held;
    wire [3:0] left = count - pop;
    always @(posedge clk) begin
        held <= push ? rest & ~({bits}'d3 << 2 * left) | ({bits}'d0 | in_data) << 2 * left : rest;
        count <= !up || clear ? 0 : left + push;
    end
    always @* if (up) begin
        assert (in_ready == (count < {depth}));
        assert (out_valid == (count != 0));
        assert (!out_valid || out_data == held[1:0]);
    end
endmodule
"""


@pytest.mark.parametrize(("depth", "cycles"), [(2, 9), (3, 10)])
def test_a_queue_gives_what_it_took_in_order(depth: int, cycles: int) -> None:
    """Nothing is lost, doubled or passed by, full and empty are exact: for every traffic."""
    bench = FIFO.format(reset=RESET, depth=depth, bits=2 * depth, top=2 * depth - 1)
    assert prove_from_reset(cells("fitact_fifo"), bench, cycles)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(write_q == LAST) ?", "(write_q == {PTR_W{1'b1}}) ?"),
        ("count_q != FULL", "count_q != FULL - 1'b1"),
        ("if (push && !pop) count_q", "if (push) count_q"),
        ("wire pop = out_valid & out_ready", "wire pop = out_ready"),
    ],
)
def test_a_wrong_queue_is_refuted(old: str, new: str) -> None:
    bench = FIFO.format(reset=RESET, depth=3, bits=6, top=5)
    assert not prove_from_reset(cells("fitact_fifo", old=old, new=new), bench, 10)


TOKEN = """
module bench(input wire clk, input wire clear, input wire push, input wire pop);
{reset}
    wire available, overflow;
    fitact_token #(.COUNT_W(2)) u_token (.clk(clk), .rst_n(up), .clear(clear), .push(push), .pop(pop),
        .available(available), .overflow(overflow));
    always @* assume (!pop || available);
    reg [4:0] given, taken;  // all that were pushed and not reported lost, all that were popped
    always @(posedge clk) begin
        given <= !up || clear ? 0 : given + (push && !overflow);
        taken <= !up || clear ? 0 : taken + pop;
    end
    always @* if (up) begin
        assert (taken <= given);
        assert (given - taken <= 3);
        assert (available == (given != taken));
        assert (overflow == (push && !pop && given - taken == 3));
    end
endmodule
"""


def test_tokens_are_never_negative_and_never_lost() -> None:
    assert prove_from_reset(cells("fitact_token"), TOKEN.format(reset=RESET), 14)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("push && !pop && !full", "push && !pop"),
        ("push & ~pop & full", "push & full"),
        ("pop && !push && available", "pop && available"),
        ("!rst_n || clear", "!rst_n"),
    ],
)
def test_a_wrong_token_counter_is_refuted(old: str, new: str) -> None:
    assert not prove_from_reset(cells("fitact_token", old=old, new=new), TOKEN.format(reset=RESET), 14)


BURSTS = """
module bench(input wire clk, input wire wide, input wire [31:0] mem_addr, input wire [3:0] cols,
             input wire request_ready, input wire burst_ready, input wire response);
{reset}
    reg [1:0] step = 0;  // reset, start, then nothing more is started
    always @(posedge clk) step <= {{step[0] | step[1], !step}};
    wire request_valid, burst_valid, walking, outstanding, address_error, start_ready;
    wire [31:0] request_addr;
    wire [7:0] request_len, burst_words;
    wire [2:0] request_size;
    wire [5:0] burst_low;
    wire start = step == 1;
    fitact_bursts #(.BUS_BITS({bus}), .WORD_BYTES({word}), .WIDE_WORD_BYTES({wide}), .MAX_OUTSTANDING(2)) u_bursts (
        .clk(clk), .rst_n(up), .clear(1'b0), .stop(1'b0), .window_base(32'd0), .window_last(32'hffff_ffff),
        .start_valid(start), .start_ready(start_ready), .wide(wide), .mem_addr(mem_addr),
        .cols({{cols, {low}'d1}}), .rows(16'd1), .planes(16'd1), .row_stride(32'd0), .plane_stride(32'd0),
        .request_valid(request_valid), .request_ready(request_ready), .request_addr(request_addr),
        .request_len(request_len), .request_size(request_size), .response(response),
        .burst_valid(burst_valid), .burst_ready(burst_ready), .burst_words(burst_words), .burst_low(burst_low),
        .walking(walking), .outstanding(outstanding), .address_error(address_error));
    reg [3:0] asked, answered;
    reg [31:0] expected, wanted, sent;  // next address, bytes of the transfer and bytes requested so far
    wire request = request_valid && request_ready;
    wire [31:0] bytes = ({{24'd0, request_len}} + 32'd1) << request_size;
    reg was_request, was_waiting, started;
    reg [42:0] before;
    always @* assume (!response || asked > answered);
    always @(posedge clk) begin
        started <= up && (started || start);
        was_waiting <= up && request_valid && !request_ready;
        before <= {{request_addr, request_len, request_size}};
        asked <= !up ? 0 : asked + request;
        answered <= !up ? 0 : answered + response;
        if (start) begin
            expected <= mem_addr;
            wanted <= wide ? {{cols, {low}'d1}} * {wide} : {{cols, {low}'d1}} * {word};
            sent <= 0;
        end else if (request) begin
            expected <= expected + bytes;
            sent <= sent + bytes;
        end
    end
    always @* if (up && started) begin
        assert (!request_valid || {{20'd0, request_addr[11:0]}} + bytes <= 32'd4096);  // never across 4 KiB
        assert (!request_valid || (1 << request_size) <= {bus} / 8);
        assert (!request_valid || (request_addr & ((32'd1 << request_size) - 1)) == 0);
        assert (!request_valid || request_addr == expected);  // one after the other, none left out
        assert (!request_valid || sent + bytes <= wanted);
        assert (!was_waiting || (request_valid && before == {{request_addr, request_len, request_size}}));
        assert (asked - answered + request_valid <= 2 + (answered != asked && response));
        assert (walking || request_valid || address_error || sent == wanted || refused);
    end
    reg refused;
    always @(posedge clk) refused <= up && !start && (refused || address_error);
endmodule
"""
SIZES = {"128 bits": (128, 16, 64), "256 bits": (256, 32, 4)}


def bursts(size: str) -> str:
    bus, word, wide = SIZES[size]
    return BURSTS.format(reset=RESET, bus=bus, word=word, wide=wide, low=12)


@pytest.mark.parametrize("size", SIZES)
def test_bursts_never_cross_4_kib_and_add_up(size: str) -> None:
    """Any address, any of 16 lengths up to 61 441 words: the first requests of a row."""
    assert prove_from_reset(cells("fitact_bursts", "fitact_fifo"), bursts(size), 8)


@pytest.mark.parametrize(
    ("old", "new", "size"),
    [
        ("(N_SIZE > 4) ? 4096 : (256 << N_SIZE)", "(N_SIZE > 5) ? 4096 : (256 << N_SIZE)", "256 bits"),
        ("(N_SIZE > 4) ? 4096 : (256 << N_SIZE)", "8192", "128 bits"),
        ("& (outstanding_q != MAX[COUNT_W-1:0])", "", "128 bits"),
        ("addr_q <= addr_q + {19'd0, room_bytes}", "addr_q <= addr_q + {19'd0, chunk}", "128 bits"),
        ("request_len_q <= beats[7:0] - 8'd1", "request_len_q <= beats[7:0]", "128 bits"),
        (
            "if (request) request_q <= 1'b1;\n            else if (request_ready)",
            "if (request) request_q <= 1'b1;\n            else",
            "128 bits",
        ),
    ],
)
def test_a_wrong_splitter_is_refuted(old: str, new: str, size: str) -> None:
    assert not prove_from_reset(cells("fitact_bursts", "fitact_fifo", old=old, new=new), bursts(size), 8)


def register_bench() -> str:
    """What waits stands still, and an answer follows a request and nothing else."""
    inputs = [
        (signal(register, field) + ("_set" if field.kind is FieldKind.STICKY else ""), field.bits)
        for register in REGISTERS.values()
        for field in register.fields
        if field.kind in (FieldKind.INPUT, FieldKind.STICKY)
        and register.name in PLAIN
        and field.name in PLAIN[register.name]
    ]
    ports = ", ".join(f"input wire [{bits - 1}:0] {name}" for name, bits in inputs)
    pins = ", ".join(f".{name}({name})" for name, _ in inputs)
    return f"""
module bench(input wire clk, input wire clear, {ports},
    input wire [11:0] awaddr, input wire awvalid, input wire [31:0] wdata, input wire [3:0] wstrb, input wire wvalid,
    input wire bready, input wire [11:0] araddr, input wire arvalid, input wire rready);
{RESET}
    wire rst_n = up;
    wire awready, wready, bvalid, arready, rvalid;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata;
    fitact_csr u_csr (.clk(clk), .rst_n(rst_n), .clear(clear), {pins},
        .s_axil_awaddr(awaddr), .s_axil_awvalid(awvalid), .s_axil_awready(awready), .s_axil_wdata(wdata),
        .s_axil_wstrb(wstrb), .s_axil_wvalid(wvalid), .s_axil_wready(wready), .s_axil_bresp(bresp),
        .s_axil_bvalid(bvalid), .s_axil_bready(bready), .s_axil_araddr(araddr), .s_axil_arvalid(arvalid),
        .s_axil_arready(arready), .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid),
        .s_axil_rready(rready));
    reg was_up = 0;
    reg b_waits, r_waits, ar_was, aw_was, w_was;
    reg [1:0] bresp_was, rresp_was;
    reg [31:0] rdata_was;
    always @(posedge clk) begin
        was_up <= rst_n;
        b_waits <= bvalid && !bready;
        r_waits <= rvalid && !rready;
        bresp_was <= bresp; rresp_was <= rresp; rdata_was <= rdata;
        ar_was <= arvalid && arready;
        aw_was <= !awready;
        w_was <= !wready;
    end
    always @* if (was_up) begin
        assert (!b_waits || (bvalid && bresp == bresp_was));
        assert (!r_waits || (rvalid && rresp == rresp_was && rdata == rdata_was));
        assert (r_waits || rvalid == ar_was);            // an answer for each read that was taken
        assert (b_waits || !bvalid || (aw_was && w_was));  // and for each write whose halves are there
        assert (!rvalid || rresp == 2'b00 || (rresp == 2'b10 && rdata == 0));
        assert (!bvalid || bresp == 2'b00 || bresp == 2'b10);
    end
    always @* assert (!rvalid || rready || !arready);
endmodule
"""


PLAIN = {name: {field.name for field in register.fields} for name, register in REGISTERS.items()}


@pytest.fixture(scope="module")
def block() -> str:
    full = AcceleratorConfig.create(protection="parity", clamp_alarm=True, parameter_check="check")
    return generate(full)["fitact_csr.v"]


def test_the_register_block_keeps_its_answers(block: str) -> None:
    assert prove_from_reset({"fitact_csr.v": block}, register_bench(), 6)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "if (s_axil_arvalid && s_axil_arready) begin\n            rdata_q",
            "if (s_axil_arvalid) begin\n            rdata_q",
        ),
        ("aw_held_q && w_held_q && (!bvalid_q || s_axil_bready)", "aw_held_q && w_held_q"),
        ("else if (s_axil_rready)                    rvalid_q <= 1'b0", "else rvalid_q <= 1'b0"),
        ("if (write) bresp_q", "bresp_q"),
    ],
)
def test_a_register_block_that_does_not_is_refuted(block: str, old: str, new: str) -> None:
    assert block.count(old) == 1
    assert not prove_from_reset({"fitact_csr.v": block.replace(old, new)}, register_bench(), 6)
