// Counts the wrong buffer words that were read, and halts the machine for one that could not be corrected, if wanted.
//
// fitact_control knows nothing of protection: a halt enters it as the error of lowest priority, token overflow, and
// this module tells the two apart when the code is read. The first error is kept, as always.

`default_nettype none

module fitact_protection #(
    parameter BUFFERS  = 6,
    parameter CORRECTS = 1                      // at least one buffer can correct
) (
    input  wire               clk,
    input  wire               rst_n,
    input  wire               clear,
    input  wire [BUFFERS-1:0] corrected_words,  // pulses, one for each protected buffer
    input  wire [BUFFERS-1:0] detected_words,

    // Registers.
    input  wire               halt_on_detect,
    output wire               detected_set,     // pulse
    output wire [31:0]        corrected_count,
    output wire [31:0]        detected_count,
    output wire [3:0]         status_code,

    // Control.
    input  wire               token_overflow,
    output wire               overflow_error,   // to control in place of token_overflow
    input  wire               set_error,        // pulse
    input  wire [3:0]         error_code
);

    `include "fitact_codes.vh"

    reg        halted_q;
    reg [31:0] detected_count_q;
    reg [31:0] detected_sum;

    wire wrong = |detected_words;
    wire stop  = wrong && halt_on_detect;

    integer i;
    always @(*) begin
        detected_sum = detected_count_q;
        for (i = 0; i < BUFFERS; i = i + 1) detected_sum = detected_sum + {31'd0, detected_words[i]};
    end

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            halted_q         <= 1'b0;
            detected_count_q <= 32'd0;
        end else begin
            if (set_error) halted_q <= stop;
            detected_count_q <= detected_sum;
        end
    end

    generate
        if (CORRECTS != 0) begin : g_corrects
            reg [31:0] corrected_count_q;
            reg [31:0] corrected_sum;

            integer k;
            always @(*) begin
                corrected_sum = corrected_count_q;
                for (k = 0; k < BUFFERS; k = k + 1) corrected_sum = corrected_sum + {31'd0, corrected_words[k]};
            end

            always @(posedge clk) begin
                if (!rst_n || clear) corrected_count_q <= 32'd0;
                else                 corrected_count_q <= corrected_sum;
            end

            assign corrected_count = corrected_count_q;
        end else begin : g_detects
            assign corrected_count = 32'd0;

            wire unused = &{1'b0, corrected_words};
        end
    endgenerate

    assign detected_set   = wrong;
    assign detected_count = detected_count_q;
    assign overflow_error = token_overflow || stop;
    assign status_code    = (halted_q && error_code == ERROR_TOKEN_OVERFLOW) ? ERROR_UNCORRECTED_WORD : error_code;

endmodule

`default_nettype wire
