// Test top: every code width of the machine around a memory word whose bits can be flipped, and the two modules that
// count wrong words.
`default_nettype none

// One codec with two lanes; the test reads its outputs inside.
module secded_codec #(
    parameter LANE_W  = 8,
    parameter CHECK_W = 5
) (
    input wire [2*LANE_W-1:0]           word,
    input wire [2*(LANE_W+CHECK_W)-1:0] flips
);
    wire [2*CHECK_W-1:0] check;
    wire [2*LANE_W-1:0]  data;
    wire [1:0]           corrected;
    wire [1:0]           detected;

    fitact_secded_encoder #(.LANES(2), .LANE_W(LANE_W), .CHECK_W(CHECK_W)) u_encoder (.data(word), .check(check));
    fitact_secded_decoder #(.LANES(2), .LANE_W(LANE_W), .CHECK_W(CHECK_W)) u_decoder (
        .stored(word ^ flips[2*LANE_W-1:0]),
        .check(check ^ flips[2*LANE_W +: 2*CHECK_W]),
        .data(data),
        .corrected(corrected),
        .detected(detected)
    );
endmodule

module parity_codec #(
    parameter LANE_W = 8
) (
    input wire [2*LANE_W-1:0] word,
    input wire [2*LANE_W+1:0] flips
);
    wire [1:0]          check;
    wire [2*LANE_W-1:0] data;
    wire [1:0]          detected;

    fitact_parity_encoder #(.LANES(2), .LANE_W(LANE_W)) u_encoder (.data(word), .check(check));
    fitact_parity_checker #(.LANES(2), .LANE_W(LANE_W)) u_checker (
        .stored(word ^ flips[2*LANE_W-1:0]),
        .check(check ^ flips[2*LANE_W +: 2]),
        .data(data),
        .detected(detected)
    );
endmodule

module protection_cells (
    input  wire         clk,
    input  wire         rst_n,
    input  wire         clear,
    input  wire [139:0] word,
    input  wire [155:0] flips,

    input  wire         rd_en,
    input  wire [1:0]   lanes_corrected,
    input  wire [1:0]   lanes_detected,
    output wire [3:0]   corrected_word,  // plain, held, plain without correction, held without correction
    output wire [3:0]   detected_word,

    input  wire [2:0]   corrected_words,
    input  wire [2:0]   detected_words,
    input  wire         halt_on_detect,
    input  wire         token_overflow,
    input  wire         set_error,
    input  wire [3:0]   error_code,
    output wire         detected_set,
    output wire         overflow_error,
    output wire [31:0]  corrected_count,
    output wire [31:0]  detected_count,
    output wire [3:0]   status_code
);
    secded_codec #(.LANE_W(8), .CHECK_W(5)) u_secded_8 (.word(word[15:0]), .flips(flips[25:0]));
    secded_codec #(.LANE_W(16), .CHECK_W(6)) u_secded_16 (.word(word[31:0]), .flips(flips[43:0]));
    secded_codec #(.LANE_W(32), .CHECK_W(7)) u_secded_32 (.word(word[63:0]), .flips(flips[77:0]));
    secded_codec #(.LANE_W(38), .CHECK_W(7)) u_secded_38 (.word(word[75:0]), .flips(flips[89:0]));
    secded_codec #(.LANE_W(64), .CHECK_W(8)) u_secded_64 (.word(word[127:0]), .flips(flips[143:0]));
    secded_codec #(.LANE_W(70), .CHECK_W(8)) u_secded_70 (.word(word), .flips(flips));
    parity_codec #(.LANE_W(8)) u_parity_8 (.word(word[15:0]), .flips(flips[17:0]));
    parity_codec #(.LANE_W(38)) u_parity_38 (.word(word[75:0]), .flips(flips[77:0]));

    genvar i;
    generate
        for (i = 0; i < 4; i = i + 1) begin : g_check
            fitact_word_check #(.LANES(2), .HELD(i % 2), .CORRECTS(i < 2)) u_check (
                .clk(clk),
                .rst_n(rst_n),
                .clear(clear),
                .rd_en(rd_en),
                .corrected((i < 2) ? lanes_corrected : 2'b00),
                .detected(lanes_detected),
                .corrected_word(corrected_word[i]),
                .detected_word(detected_word[i])
            );
        end
    endgenerate

    fitact_protection #(.BUFFERS(3)) u_protection (
        .clk(clk),
        .rst_n(rst_n),
        .clear(clear),
        .corrected_words(corrected_words),
        .detected_words(detected_words),
        .halt_on_detect(halt_on_detect),
        .detected_set(detected_set),
        .corrected_count(corrected_count),
        .detected_count(detected_count),
        .status_code(status_code),
        .token_overflow(token_overflow),
        .overflow_error(overflow_error),
        .set_error(set_error),
        .error_code(error_code)
    );
endmodule

`default_nettype wire
